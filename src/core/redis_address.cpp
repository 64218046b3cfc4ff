// Where a Redis is, from a connection string.
#include "core/redis_address.hpp"

#include <charconv>

#include <arpa/inet.h>
#include <sys/un.h>

namespace wc::core {

namespace {

constexpr std::string_view blanks = " \t\r\n";
constexpr const char *no_string =
    "The value must be a connection string of keywords and values, such as host=127.0.0.1 port=6379.";

void skip_blanks(std::string_view &text) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
}

bool take_keyword(std::string_view &text, std::string_view &keyword) {
    const size_t end = text.find_first_of(" \t\r\n=");
    if (end == 0 || end == std::string_view::npos)
        return false;
    keyword = text.substr(0, end);
    text.remove_prefix(end);
    skip_blanks(text);
    if (text.empty() || text.front() != '=')
        return false;
    text.remove_prefix(1);
    skip_blanks(text);
    return true;
}

bool take_quoted(std::string_view &text, std::string &value) {
    text.remove_prefix(1);
    while (!text.empty()) {
        char next = text.front();
        text.remove_prefix(1);
        if (next == '\'')
            return text.empty() || blanks.find(text.front()) != std::string_view::npos;
        if (next == '\\') {
            if (text.empty())
                return false;
            next = text.front();
            text.remove_prefix(1);
        }
        value += next;
    }
    return false;
}

bool take_value(std::string_view &text, std::string &value) {
    value.clear();
    if (!text.empty() && text.front() == '\'')
        return take_quoted(text, value);
    const size_t end = std::min(text.find_first_of(blanks), text.size());
    value = text.substr(0, end);
    text.remove_prefix(end);
    return value.find_first_of("'\\") == std::string::npos;
}

bool is_numeric(const std::string &host) {
    unsigned char bytes[sizeof(in6_addr)];
    return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

bool number(const std::string &value, unsigned least, std::uint16_t &out) {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
    return error == std::errc() && end == value.data() + value.size() && out >= least;
}

const char *set(RedisAddress &address, std::string_view keyword, std::string &value) {
    if (value.find('\0') != std::string::npos)
        return no_string;
    if (keyword == "host") {
        if (value.empty() || (value.front() != '/' && !is_numeric(value)))
            return "The host must be a numeric address or the path of a socket: no name is resolved while a query waits.";
        if (value.front() == '/' && value.size() >= sizeof(sockaddr_un::sun_path))
            return "The path of the socket is too long for the system.";
        address.host = std::move(value);
    } else if (keyword == "port") {
        if (!number(value, 1, address.port))
            return "The port must be a number from 1 to 65535.";
    } else if (keyword == "db") {
        if (!number(value, 0, address.db))
            return "The db must be the number of a database of Redis.";
    } else if (keyword == "user") {
        address.user = std::move(value);
    } else if (keyword == "passfile") {
        if (value.empty() || value.front() != '/')
            return "The passfile must be an absolute path.";
        address.passfile = std::move(value);
    } else if (keyword == "password") {
        return "The value must have no password in it: name a file that has it, with passfile.";
    } else {
        return "The keywords are host, port, user, passfile and db.";
    }
    return nullptr;
}

} // namespace

const char *parse_redis_address(std::string_view text, RedisAddress &address) {
    address = {};
    for (skip_blanks(text); !text.empty(); skip_blanks(text)) {
        std::string_view keyword;
        std::string value;
        if (!take_keyword(text, keyword) || !take_value(text, value))
            return no_string;
        if (const char *const objection = set(address, keyword, value); objection != nullptr)
            return objection;
    }
    if (address.host.empty())
        return "The value must name a numeric address or the path of a socket with host.";
    if (!address.user.empty() && address.passfile.empty())
        return "A user needs a password: name a file that has it, with passfile.";
    return nullptr;
}

} // namespace wc::core
