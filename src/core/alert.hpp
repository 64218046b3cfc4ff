// When an alert is raised, repeated and over: what follows from a value, its limits, and what was told before.
//
// Plain data that all zeros make "not raised", and functions that neither allocate nor fail: it is kept in shared
// memory.
#pragma once

#include <cstdint>

namespace wc::core::alert {

enum class Level : std::uint8_t { Ok, Warning, Critical };

// "ok", "warning" or "critical".
const char *name(Level level) noexcept;

// An alert is raised when the value is above the limit. Negative: never.
struct Limits {
    double warning;
    double critical;
};

// What is to be told.
enum class Event : std::uint8_t {
    None,
    Raised,   // there was none, or warning became critical
    Repeated, // as it was, for so long that it is told again
    Eased,    // critical became warning
    Cleared,  // the value is 5 % of the limit below it
};

// "raised", "repeated", "eased" or "cleared"; of None: "".
const char *name(Event event) noexcept;

struct State {
    Level level;          // Ok: not raised
    double limit;         // that the level is held against
    std::int64_t told_at; // when it was raised or told last, by the clock of step()
};

struct Step {
    Event event;
    Level level;  // that the event is of: of a cleared one, the level that it had
    double limit; // of that level
};

// Whether a value can be held against limits: anything but infinite and not a number.
bool usable(double value) noexcept;

// Takes in a value that was read now, in milliseconds of a clock that is never set back. repeat: milliseconds after
// which what lasts is told again; 0: never.
Step step(State &state, double value, const Limits &limits, std::int64_t now, std::int64_t repeat) noexcept;

// What was watched is there no longer.
Step over(State &state) noexcept;

} // namespace wc::core::alert
