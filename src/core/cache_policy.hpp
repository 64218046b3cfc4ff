// Which entry of the cache is worth least: how often it is used of late, and what it saves for the room that it takes.
//
// An entry's heat is how often it was used, each use counting half as much after `half_life` turnovers of the cache: so
// yesterday's favourites go, and where nothing has to make room nothing ages. There is no clock in it but the count of
// what was stored. A heat is one word, so that a hit can write it without a lock.
#pragma once

#include <cstdint>

namespace wc::core {

// Uses, and when they were last added up, in one word: 0 is none.
using Heat = std::uint64_t;

struct CachePolicy {
    // Of how many entries the one that is worth least goes.
    static constexpr int sample = 16;
    // Where memory is short: a few large ones among many small ones have to be met.
    static constexpr int sample_for_memory = 128;
    // In turnovers: as many stores as the cache has room for entries.
    static constexpr double half_life = 2;

    double per_store; // of a half-life; see with_room()

    static CachePolicy with_room(std::uint64_t entries) noexcept;

    // Once used. stores: how many entries have been stored until now, in the whole cache; may wrap round at 2^32.
    [[nodiscard]] static Heat fresh(std::uint32_t stores) noexcept;
    // Used once more. What two sessions add at the same moment may count once.
    [[nodiscard]] Heat used(Heat heat, std::uint32_t stores) const noexcept;
    // Uses of late, greater than 0.
    [[nodiscard]] double uses(Heat heat, std::uint32_t stores) const noexcept;

    // What an entry is worth: the one with the least goes. cost_ms: of computing it again. room: bytes that it takes;
    // counts where memory is short, and not where it is places for entries.
    [[nodiscard]] double worth(Heat heat, std::uint32_t stores, float cost_ms, std::uint64_t room,
                               bool memory_is_short) const noexcept;
};

// A number of the sequence that follows from a seed: for choosing entries, not for secrets. Changes the seed.
std::uint64_t next_random(std::uint64_t &seed) noexcept;

} // namespace wc::core
