// How often something happened in each minute of the last day: a ring of counters, for shared memory.
//
// Plain data that all zeros make empty, and functions that neither allocate nor fail: it is written where an error is
// being reported. Minutes are numbered from any epoch; the caller has the clock.
#pragma once

#include <cstdint>

namespace wc::core {

struct MinuteRing {
    static constexpr std::int64_t day = std::int64_t{24} * 60; // minutes

    std::int64_t end;          // the last minute that it has a counter for, plus one; 0: it is empty
    std::uint32_t counts[day]; // of minute m at m % day; never wrap round, but stay at their greatest value
};

// Counts one in a minute. A clock that was set back counts in its own, earlier minute; one that was set back by a day
// or more begins anew. minute: 0 or greater.
void count(MinuteRing &ring, std::int64_t minute) noexcept;

// How many there were in the last minutes (1 to a day), of which now is one. What a clock that was ahead has counted in
// minutes that are yet to come is in the sum too: it has happened.
std::uint64_t total(const MinuteRing &ring, std::int64_t now, std::int64_t minutes) noexcept;

} // namespace wc::core
