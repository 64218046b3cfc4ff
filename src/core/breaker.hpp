// Whether something that fails is to be tried again yet. After a few failures in a row, or one that has cost time,
// nobody tries for a while; then one does, on behalf of all: where that succeeds all do again, where it fails the while
// is twice as long, up to a limit.
//
// Plain data that all zeros make "nothing has failed": it is kept in shared memory. Times are milliseconds of a clock
// that is never set back.
#pragma once

#include <cstdint>

namespace wc::core {

struct Breaker {
    enum class State : std::uint32_t { Closed, Open, Probing };

    State state = State::Closed;
    std::uint32_t failures = 0; // in a row, while it is closed
    std::uint32_t turn = 0;     // of trying, to tell a probe from those that began before
    std::int64_t rest_ms = 0;   // how long it is open this time
    std::int64_t until = 0;     // open: no probe before; probing: the probe counts as lost after
};

namespace breaker {

constexpr std::uint32_t failures_to_open = 3;
constexpr std::int64_t first_rest_ms = 250;
constexpr std::int64_t most_rest_ms = 30000;

// Leave to try, to be given back with how it went. One that is never given back (its process ended) is lost, and harms
// nothing.
struct Leave {
    bool given = false;
    bool probe = false;
    std::uint32_t turn = 0;
};

// lease_ms: longer than a try can take.
[[nodiscard]] Leave ask(Breaker &breaker, std::int64_t now, std::int64_t lease_ms) noexcept;

void succeeded(Breaker &breaker, const Leave &leave) noexcept;

// costly: it took all the time that a try may take, so the next one shouldn't be made to find out.
void failed(Breaker &breaker, const Leave &leave, std::int64_t now, bool costly) noexcept;

// What to show: Open only as long as nobody may try.
[[nodiscard]] Breaker::State shown(const Breaker &breaker, std::int64_t now) noexcept;

} // namespace breaker
} // namespace wc::core
