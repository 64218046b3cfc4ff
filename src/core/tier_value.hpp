// What stands in a sealed value of the second tier, byte by byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wc::core::tier {

// Times: milliseconds of this machine's monotonic clock, which lasts longer than the keys of a server's start.
struct Head {
    std::uint64_t since = 0;  // the moment (generations) before the query was looked at
    std::int64_t expires = 0; // the time after which it's over
    double cost_ms = 0;       // of running the query
    std::uint32_t tagged = 0; // 1: stored with a tag
    std::uint32_t tables = 0; // how many
    std::uint64_t dependencies = 0;
    std::uint64_t size = 0; // bytes of the rows
};

struct Dependency {
    std::uint64_t generation;
    std::uint32_t cell;
};

constexpr std::uint32_t most_dependencies = 16384;
constexpr std::size_t dependency_size = 12;

// The bytes that a value takes besides its rows.
constexpr std::size_t overhead(std::size_t dependencies, std::size_t tables) {
    return sizeof(Head) + dependencies * dependency_size + tables * 4;
}
constexpr std::size_t most_overhead = overhead(most_dependencies, most_dependencies);

// Puts a value together: head, then the dependencies and the tables by put_dependency and put_table, as many as the
// head says, then the rows.
[[nodiscard]] std::string begin(const Head &head);
void put_dependency(std::string &value, const Dependency &dependency);
void put_table(std::string &value, std::uint32_t table);

// A value that is read: views of the bytes. Nothing where the sizes aren't exactly those that the head says.
struct Value {
    Head head;
    std::string_view dependencies;
    std::string_view tables;
    std::string_view rows;

    [[nodiscard]] Dependency dependency(std::size_t i) const;
    [[nodiscard]] std::uint32_t table(std::size_t i) const;
};
[[nodiscard]] std::optional<Value> read(std::string_view bytes);

} // namespace wc::core::tier
