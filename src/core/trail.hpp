// Where a number that only grows stood at which time: how long ago it passed a value, and how much it has grown of
// late. For positions in the write-ahead log, and counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace wc::core {

class Trail {
  public:
    // keep: milliseconds that it reaches back; spacing: between two points of it, at least, so that they are bounded.
    Trail(std::int64_t keep, std::int64_t spacing) : keep_(keep), spacing_(spacing) {}

    // Notes where it stands now, in milliseconds of a clock that is never set back. One that is smaller than before (a
    // counter that was reset) begins the trail anew.
    void add(std::int64_t now, std::uint64_t value);

    // How long ago, in milliseconds, it was first seen above a value: 0 where it isn't. At most as long as the trail.
    [[nodiscard]] std::int64_t since_above(std::int64_t now, std::uint64_t value) const;

    // How much it has grown within the last `span` milliseconds; of points further apart than that, as much as falls on
    // the span.
    [[nodiscard]] double growth(std::int64_t now, std::int64_t span) const;

    [[nodiscard]] std::size_t points() const { return points_.size(); }

  private:
    struct Point {
        std::int64_t at;
        std::uint64_t value;
    };
    std::int64_t keep_;
    std::int64_t spacing_;
    std::deque<Point> points_;
};

} // namespace wc::core
