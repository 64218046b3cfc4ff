// Counters of the minutes of a day.
#include "core/minute_ring.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

namespace wc::core {

void count(MinuteRing &ring, std::int64_t minute) noexcept {
    const std::int64_t next = minute + 1;
    if (ring.end == 0 || next >= ring.end + MinuteRing::day || next <= ring.end - MinuteRing::day) {
        std::fill(std::begin(ring.counts), std::end(ring.counts), 0);
        ring.end = next;
    }
    for (; ring.end < next; ++ring.end) // minutes in which nothing happened, and this one
        ring.counts[ring.end % MinuteRing::day] = 0;
    std::uint32_t &counter = ring.counts[minute % MinuteRing::day];
    if (counter < std::numeric_limits<std::uint32_t>::max())
        ++counter;
}

std::uint64_t total(const MinuteRing &ring, std::int64_t now, std::int64_t minutes) noexcept {
    std::uint64_t sum = 0;
    const std::int64_t first = std::max({now - minutes + 1, ring.end - MinuteRing::day, std::int64_t{0}});
    for (std::int64_t minute = first; minute < ring.end; ++minute)
        sum += ring.counts[minute % MinuteRing::day];
    return sum;
}

} // namespace wc::core
