// When executions of one statement come so close together that they look like a loop: the arithmetic of windows. Pure,
// and for code that runs with each statement: plain numbers in memory of the caller's, nothing allocated, nothing
// thrown. Times are microseconds since any moment.
#pragma once

#include <cstdint>

namespace wc::core::burst {

// --- One session: the times of its last executions, so that the window slides exactly ---

enum class Step {
    Outside,   // no burst, or not any more
    Begins,    // this execution makes it one
    Continues, // this one belongs to it
};

// What goes with a ring of `limit` times. All zeros: nothing has been executed yet.
struct Window {
    std::uint32_t next;   // where the next time goes
    std::uint32_t filled; // times in the ring
    std::uint32_t size;   // executions of the burst that this is in; 0: in none
};

// Counts an execution that ended at that time. It is in a burst if the one `limit` executions before it ended at most
// `width` earlier, that is, with more than `limit` executions in a window. One that is told of late (cursors are closed
// in any order) counts as the last; a clock that is set back begins anew.
Step count(Window &window, std::int64_t *times, std::uint32_t limit, std::int64_t width, std::int64_t at) noexcept;

// The time of the execution `back` before the last one; back < filled.
std::int64_t time_before(const Window &window, const std::int64_t *times, std::uint32_t limit,
                         std::uint32_t back) noexcept;

// --- All sessions: counts for each part of the window, each in a word that is changed at one stroke ---
//
// A window has ten parts; those that a sum looks at are the present one, which has begun, and the nine before, so that
// what is summed lies within a window, and at least nine tenths of one are looked at.

constexpr std::uint32_t parts = 10;

// The number of the part that a time is in; parts are counted from the moment that times are.
std::int64_t part_of(std::int64_t at, std::int64_t width) noexcept;

// Which word a part has.
inline std::uint32_t word_of(std::int64_t part) noexcept {
    return static_cast<std::uint32_t>(part % parts);
}

// The word with one execution of that part more: what it had of an earlier part is over. One that has gone on already
// (another session's clock was read a little later) stays as it is.
std::uint64_t one_more(std::uint64_t word, std::int64_t part) noexcept;

// The word with one execution of that part less; unchanged where it has none.
std::uint64_t one_less(std::uint64_t word, std::int64_t part) noexcept;

// How many executions of the word lie in the window that ends in part `now`.
std::uint32_t counted(std::uint64_t word, std::int64_t now) noexcept;

} // namespace wc::core::burst
