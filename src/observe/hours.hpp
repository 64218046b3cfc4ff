// Totals of statements by the hour, as a pattern has them in shared memory: of the latest hour that it ran in, and of
// the hour before that. The history (observe/history) writes them to files, each hour many times before it is let go
// here. Plain memory, for code under a lock: nothing allocates or raises.
#pragma once

#include "pg/guc.hpp"
#include "pg/prelude.hpp"

namespace wc::observe {

struct HourTotals {
    uint64 calls;
    uint64 rows;
    int64 total_ns;
    int64 max_ns;

    void add(const HourTotals &more) noexcept {
        calls += more.calls;
        rows += more.rows;
        total_ns += more.total_ns;
        if (more.max_ns > max_ns)
            max_ns = more.max_ns;
    }
};

// The hour of a moment: whole hours since 2000-01-01 00:00 UTC.
inline int64 hour_of(TimestampTz at) noexcept {
    return (at + pg::settings::query_history_clock_offset * USECS_PER_SEC) / USECS_PER_HOUR;
}

inline TimestampTz start_of_hour(int64 hour) noexcept {
    return hour * USECS_PER_HOUR;
}

struct Hours {
    int64 hour; // of `present`
    HourTotals present;
    HourTotals before; // of hour - 1

    // Makes an hour the present one. A clock that goes back is not followed: what comes then counts in the hour that
    // there is.
    void roll(int64 to) noexcept {
        if (to <= hour)
            return;
        before = to == hour + 1 ? present : HourTotals{};
        present = {};
        hour = to;
    }

    void add(int64 to, const HourTotals &more) noexcept {
        roll(to);
        present.add(more);
    }

    // Takes in what another pattern has, which is about to be evicted or reset.
    void add(const Hours &other) noexcept {
        roll(other.hour);
        present.add(other.of(hour));
        before.add(other.of(hour - 1));
    }

    // What there is of an hour here; zeros for any but the two.
    [[nodiscard]] HourTotals of(int64 which) const noexcept {
        if (which == hour)
            return present;
        return which == hour - 1 ? before : HourTotals{};
    }
};

} // namespace wc::observe
