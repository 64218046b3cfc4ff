// How an alert is told.
#include "core/alert_text.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace wc::core::alert {

std::string number(double value) {
    std::array<char, 400> digits = {}; // the greatest double has 309 before the point
    const int length = std::snprintf(digits.data(), digits.size(), "%.2f", value);
    std::string out(digits.data(), static_cast<std::size_t>(length));
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.')
        out.pop_back();
    return out == "-0" ? "0" : out;
}

std::string quoted(const std::string &text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            std::array<char, 8> escaped = {};
            std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(byte));
            out += escaped.data();
            continue;
        }
        if (c == '"' || c == '\\')
            out += '\\';
        out += c;
    }
    return out + "\"";
}

std::string line(const Told &told) {
    std::string out = "whitecross alert: level=";
    out += name(told.level);
    out += " name=" + told.name + " subject=" + quoted(told.subject) + " value=" + number(told.value) +
           " limit=" + number(told.limit) + " event=" + name(told.event);
    if (!told.database.empty())
        out += " database=" + quoted(told.database);
    return out + " since=" + told.since;
}

std::string json(const Told &told) {
    return std::string("{\"event\": ") + quoted(name(told.event)) + ", \"level\": " + quoted(name(told.level)) +
           ", \"name\": " + quoted(told.name) + ", \"subject\": " + quoted(told.subject) +
           ", \"database\": " + (told.database.empty() ? "null" : quoted(told.database)) +
           ", \"value\": " + number(told.value) + ", \"limit\": " + number(told.limit) +
           ", \"since\": " + quoted(told.since) + ", \"at\": " + quoted(told.at) + "}";
}

} // namespace wc::core::alert
