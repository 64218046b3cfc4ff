// Where a number that only grows stood at which time.
#include "core/trail.hpp"

#include <algorithm>

namespace wc::core {

void Trail::add(std::int64_t now, std::uint64_t value) {
    if (!points_.empty() && value < points_.back().value)
        points_.clear();
    // Of those that are older than is kept, one has to stay: what lies between it and the next is younger.
    while (points_.size() > 1 && points_[1].at <= now - keep_)
        points_.pop_front();
    // Points closer to each other than they have to be make way, all but the first: what is lost is when exactly a
    // value was passed.
    if (points_.size() > 1 && points_.back().at - points_[points_.size() - 2].at < spacing_)
        points_.pop_back();
    points_.push_back({now, value});
}

std::int64_t Trail::since_above(std::int64_t now, std::uint64_t value) const {
    const auto above = std::upper_bound(points_.begin(), points_.end(), value,
                                        [](std::uint64_t v, const Point &point) { return v < point.value; });
    return above == points_.end() ? 0 : std::max<std::int64_t>(now - above->at, 0);
}

double Trail::growth(std::int64_t now, std::int64_t span) const {
    if (points_.empty())
        return 0;
    // The last point that is as old as the span, or the first one there is.
    const Point *from = &points_.front();
    for (const Point &point : points_)
        if (point.at <= now - span)
            from = &point;
    const auto grown = static_cast<double>(points_.back().value - from->value);
    const std::int64_t apart = now - from->at;
    return apart <= span ? grown : grown * static_cast<double>(span) / static_cast<double>(apart);
}

} // namespace wc::core
