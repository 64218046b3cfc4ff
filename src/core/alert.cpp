// When an alert is raised, repeated and over.
#include "core/alert.hpp"

#include <cmath>

namespace wc::core::alert {

namespace {

bool above(double value, double limit) noexcept {
    return limit >= 0 && value > limit;
}

// Whether a level that is held stays held: it is let go only 5 % of the limit below the limit, so that a value which
// moves about the limit isn't told of again and again.
bool holds(double value, double limit) noexcept {
    return limit >= 0 && value * 100 > limit * 95;
}

Level level_of(Level held, double value, const Limits &limits) noexcept {
    if (above(value, limits.critical) || (held == Level::Critical && holds(value, limits.critical)))
        return Level::Critical;
    if (above(value, limits.warning) || (held != Level::Ok && holds(value, limits.warning)))
        return Level::Warning;
    return Level::Ok;
}

Event event_of(Level before, Level now, bool due) noexcept {
    if (now == before)
        return now != Level::Ok && due ? Event::Repeated : Event::None;
    if (now == Level::Ok)
        return Event::Cleared;
    return now > before ? Event::Raised : Event::Eased;
}

} // namespace

const char *name(Level level) noexcept {
    switch (level) {
    case Level::Ok:
        return "ok";
    case Level::Warning:
        return "warning";
    case Level::Critical:
        return "critical";
    }
    return "";
}

const char *name(Event event) noexcept {
    switch (event) {
    case Event::None:
        return "";
    case Event::Raised:
        return "raised";
    case Event::Repeated:
        return "repeated";
    case Event::Eased:
        return "eased";
    case Event::Cleared:
        return "cleared";
    }
    return "";
}

bool usable(double value) noexcept {
    return std::isfinite(value);
}

Step step(State &state, double value, const Limits &limits, std::int64_t now, std::int64_t repeat) noexcept {
    const Level before = state.level;
    const Level level = level_of(before, value, limits);
    const Event event = event_of(before, level, repeat > 0 && now - state.told_at >= repeat);
    if (event == Event::Cleared)
        return over(state);
    state.level = level;
    if (level != Level::Ok)
        state.limit = level == Level::Critical ? limits.critical : limits.warning;
    if (event != Event::None)
        state.told_at = now;
    return {event, level, state.limit};
}

Step over(State &state) noexcept {
    const Step cleared = {state.level == Level::Ok ? Event::None : Event::Cleared, state.level, state.limit};
    state = {};
    return cleared;
}

} // namespace wc::core::alert
