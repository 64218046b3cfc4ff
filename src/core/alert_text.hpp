// How an alert is told: the line for the server's log, and the JSON of a notification. Both are of a stable form.
#pragma once

#include "core/alert.hpp"

#include <string>

namespace wc::core::alert {

struct Told {
    Event event;
    Level level;
    std::string name;
    std::string subject;
    std::string database; // empty: the server
    double value;
    double limit;
    std::string since; // ISO 8601
    std::string at;    // the same: when it was told
};

// A number with at most two decimals, none of them a trailing zero, never in scientific notation.
std::string number(double value);

// A text in double quotes, as JSON has it: what is no printable ASCII and below 0x80 is escaped, so that it is one
// line.
std::string quoted(const std::string &text);

// "whitecross alert: level=... name=... subject="..." value=... limit=... event=... database="..." since=..."; without
// the database where it is of the server.
std::string line(const Told &told);

// {"event": ..., "level": ..., "name": ..., "subject": ..., "database": ..., "value": ..., "limit": ..., "since": ...,
// "at": ...}; the database is null where it is of the server.
std::string json(const Told &told);

} // namespace wc::core::alert
