// The files of the query history: what is in them, as bytes, and what they are called. An hour of one run of the server
// has two: its totals by pattern, and those texts of patterns that no earlier hour of that day had to write down.
// Each file has a magic number, a version, the hour and run that it is of, and a checksum at its end; numbers are in
// the byte order of the machine, as all of a server's data folder is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wc::core::history {

struct Totals {
    std::uint64_t calls = 0;
    std::uint64_t rows = 0;
    std::int64_t total_ns = 0;
    std::int64_t max_ns = 0;

    void add(const Totals &more);
    bool operator==(const Totals &) const = default;
};

struct Pattern {
    std::uint32_t database = 0; // OIDs
    std::uint32_t role = 0;
    std::uint64_t query_id = 0;
    Totals totals;
    bool operator==(const Pattern &) const = default;
};

struct Hour {
    std::int64_t hour = 0; // since 2000-01-01 00:00 UTC
    std::uint64_t run = 0; // of the server's shared memory: a number of its own each time that it is made
    Totals other;          // of patterns that were evicted or reset within the hour
    std::vector<Pattern> patterns;
    bool operator==(const Hour &) const = default;
};

struct Text {
    std::int32_t encoding = 0; // of the database that the pattern was of, by the server's number
    std::string bytes;
    bool operator==(const Text &) const = default;
};

struct Texts {
    std::int64_t hour = 0;
    std::uint64_t run = 0;
    std::map<std::uint64_t, Text> texts; // by query id
    bool operator==(const Texts &) const = default;
};

[[nodiscard]] std::string encode(const Hour &hour);
[[nodiscard]] std::string encode(const Texts &texts);

enum class Fault {
    None,
    Foreign,   // no file of ours: its magic number is another
    Version,   // of a version that this one doesn't know
    Damaged,   // torn or changed: too short, too long, or its checksum is another
    Misplaced, // whole, but of another hour or run than its name says
};

// Reads the bytes of a file that is called so. What is read is complete, or there is a fault.
[[nodiscard]] Fault decode(std::string_view bytes, std::int64_t hour, std::uint64_t run, Hour &into);
[[nodiscard]] Fault decode(std::string_view bytes, std::int64_t hour, std::uint64_t run, Texts &into);

// What is wrong with a file, in words that follow its name ("is damaged").
[[nodiscard]] std::string_view describe(Fault fault);

// Connections: samples of connections (core/connection_file.hpp), in files of the hour too.
enum class Kind { Totals, Texts, Connections };

struct FileName {
    std::int64_t hour = 0;
    std::uint64_t run = 0;
    Kind kind = Kind::Totals;
    bool operator==(const FileName &) const = default;
};

// 20261122T08-0123456789abcdef.totals: the hour in UTC, the run, the kind.
[[nodiscard]] std::string file_name(const FileName &name);
[[nodiscard]] std::optional<FileName> parse_name(std::string_view name); // nothing for any other name

// The day of an hour, and the last hour of that day, in UTC.
[[nodiscard]] std::int64_t day_of(std::int64_t hour);
[[nodiscard]] std::int64_t last_hour_of_day(std::int64_t hour);

} // namespace wc::core::history
