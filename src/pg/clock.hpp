// A clock that goes on whatever the time of day is set to.
#pragma once

#include <cstdint>

namespace wc::pg::clock {

// Microseconds since some moment before the machine's start. All processes of a server have the same.
int64_t microseconds() noexcept;

// The same in milliseconds.
inline int64_t milliseconds() noexcept {
    return microseconds() / 1000;
}

} // namespace wc::pg::clock
