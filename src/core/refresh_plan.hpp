// Which way a refresh goes and in which order views are taken. Pure: knows no server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wc::core {

// What a caller may ask for. Auto lets the state of the view decide.
enum class Mode { Auto, Incremental, Concurrent, Full };

// What to do about a view that another session is refreshing or has locked.
enum class Conflict { Wait, Skip };

// The name that SQL uses for it, and back; empty: no such name.
std::string_view name(Mode mode);
std::string_view name(Conflict conflict);
std::optional<Mode> parse_mode(std::string_view text);
std::optional<Conflict> parse_conflict(std::string_view text);

// The names a caller may use, for an error's hint: "auto", "incremental", "concurrent" and "full".
std::string mode_names();
std::string conflict_names();

// What is known of a view when its refresh begins.
struct Prospect {
    bool populated = false;
    bool incremental = false; // as far as is known yet, what changed since the last refresh can be told
};

// The way to try (never Auto). A view that isn't populated has no readers to spare and no rows to compare with, so it
// is filled outright whatever was asked. A populated one is refreshed incrementally, or else concurrently, unless the
// caller named full, which shuts readers out.
Mode decide(Mode asked, const Prospect &prospect);

// Up to how many changed keys a view of that many rows is refreshed incrementally in mode auto: with more, computing
// the whole view anew is quicker.
int64_t most_keys(int64_t rows);

// A view to be refreshed and how long its last refresh took; empty: not known.
struct Task {
    std::string view;
    std::optional<double> last_duration_ms;
};

// The order in which the tasks start, as positions in the list: longest first, so that the longest doesn't start last
// and run alone. One that was never timed counts as the longest. Equal ones by name.
std::vector<std::size_t> longest_first(const std::vector<Task> &tasks);

} // namespace wc::core
