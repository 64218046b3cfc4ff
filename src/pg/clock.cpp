// The monotonic clock.
#include "pg/clock.hpp"

#include <ctime>

namespace wc::pg::clock {

int64_t microseconds() noexcept {
    timespec now = {};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

} // namespace wc::pg::clock
