// Where a Redis is, from a connection string in libpq's manner: "host=127.0.0.1 port=6379 user=cache passfile=/etc/x
// db=2". A value with blanks is quoted by ', in which \ stands before ' and \.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wc::core {

struct RedisAddress {
    std::string host;     // a numeric address, or the absolute path of a socket
    std::string user;     // empty: Redis' own "default"
    std::string passfile; // an absolute path; empty: no password
    std::uint16_t port = 6379;
    std::uint16_t db = 0;

    [[nodiscard]] bool is_socket() const { return !host.empty() && host.front() == '/'; }
    bool operator==(const RedisAddress &) const = default;
};

// Why the text is no such string, as a detail for an error: a full sentence, in which nothing of the text is. Null: it
// is one, and address is what it says. No password, for whoever reads settings would read it; no name to resolve, for
// that blocks.
[[nodiscard]] const char *parse_redis_address(std::string_view text, RedisAddress &address);

} // namespace wc::core
