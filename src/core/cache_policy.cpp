// What an entry of the cache is worth.
#include "core/cache_policy.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace wc::core {

namespace {

Heat packed(float uses, std::uint32_t stores) noexcept {
    return static_cast<Heat>(std::bit_cast<std::uint32_t>(uses)) << 32 | stores;
}

} // namespace

CachePolicy CachePolicy::with_room(std::uint64_t entries) noexcept {
    return {1 / (half_life * static_cast<double>(std::max<std::uint64_t>(entries, 1)))};
}

Heat CachePolicy::fresh(std::uint32_t stores) noexcept {
    return packed(1, stores);
}

double CachePolicy::uses(Heat heat, std::uint32_t stores) const noexcept {
    const double then = std::bit_cast<float>(static_cast<std::uint32_t>(heat >> 32));
    // A store that another session has counted meanwhile may make the difference negative.
    const auto since = static_cast<std::int32_t>(stores - static_cast<std::uint32_t>(heat));
    return then * std::exp2(-per_store * std::max(since, 0));
}

Heat CachePolicy::used(Heat heat, std::uint32_t stores) const noexcept {
    return packed(static_cast<float>(uses(heat, stores) + 1), stores);
}

double CachePolicy::worth(Heat heat, std::uint32_t stores, float cost_ms, std::uint64_t room,
                          bool memory_is_short) const noexcept {
    // The logarithm: a query that takes a thousand times as long doesn't displace a thousand that are asked as often.
    // Half a millisecond is what a call costs in any case.
    const double cost = std::log2(2 + 2 * std::max(static_cast<double>(cost_ms), 0.0));
    const double saved = uses(heat, stores) * cost;
    return memory_is_short ? saved / static_cast<double>(std::max<std::uint64_t>(room, 1)) : saved;
}

// SplitMix64.
std::uint64_t next_random(std::uint64_t &seed) noexcept {
    seed += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = seed;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

} // namespace wc::core
