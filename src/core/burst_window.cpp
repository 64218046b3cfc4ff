// The arithmetic of windows.
#include "core/burst_window.hpp"

namespace wc::core::burst {

namespace {

// A word: the number of the part, and how many executions it has.
constexpr std::uint32_t count_bits = 24;
constexpr std::uint64_t most = (std::uint64_t{1} << count_bits) - 1;

std::int64_t part_in(std::uint64_t word) noexcept {
    return static_cast<std::int64_t>(word >> count_bits);
}

std::uint64_t word_with(std::int64_t part, std::uint64_t count) noexcept {
    return (static_cast<std::uint64_t>(part) << count_bits) | count;
}

} // namespace

[[gnu::hot]] Step count(Window &window, std::int64_t *times, std::uint32_t limit, std::int64_t width,
                        std::int64_t at) noexcept {
    if (window.filled > 0) {
        const std::int64_t last = time_before(window, times, limit, 0);
        if (last - at > width)
            window = {};
        else if (at < last)
            at = last;
    }
    const bool close = window.filled == limit && at - times[window.next] <= width;
    times[window.next] = at;
    window.next = window.next + 1 < limit ? window.next + 1 : 0;
    if (window.filled < limit)
        window.filled++;
    if (!close) {
        window.size = 0;
        return Step::Outside;
    }
    if (window.size == 0) {
        window.size = limit + 1;
        return Step::Begins;
    }
    if (window.size < UINT32_MAX)
        window.size++;
    return Step::Continues;
}

std::int64_t time_before(const Window &window, const std::int64_t *times, std::uint32_t limit,
                         std::uint32_t back) noexcept {
    const std::uint32_t place = window.next + limit - 1 - back;
    return times[place < limit ? place : place - limit];
}

std::int64_t part_of(std::int64_t at, std::int64_t width) noexcept {
    const std::int64_t length = width / parts;
    return length > 0 ? at / length : at;
}

std::uint64_t one_more(std::uint64_t word, std::int64_t part) noexcept {
    const std::int64_t has = part_in(word);
    if (has == part)
        return (word & most) == most ? word : word + 1;
    // Much later than this can only mean that the clock was set back, or the window made wider.
    if (has > part && has <= part + parts)
        return word;
    return word_with(part, 1);
}

std::uint64_t one_less(std::uint64_t word, std::int64_t part) noexcept {
    return part_in(word) == part && (word & most) > 0 ? word - 1 : word;
}

std::uint32_t counted(std::uint64_t word, std::int64_t now) noexcept {
    const std::int64_t has = part_in(word);
    return has <= now && has > now - parts ? static_cast<std::uint32_t>(word & most) : 0;
}

} // namespace wc::core::burst
