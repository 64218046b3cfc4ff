// What an entry of the cache is worth, and what comes of it: simulated caches.
#include "core/cache_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <list>
#include <random>
#include <unordered_map>
#include <vector>

namespace {

using wc::core::CachePolicy;
using wc::core::Heat;
using wc::core::next_random;

constexpr std::uint32_t places = 1000;
const CachePolicy policy = CachePolicy::with_room(places);
constexpr auto half_life = static_cast<std::uint32_t>(CachePolicy::half_life * places);

TEST(CachePolicy, CountsUses) {
    Heat heat = CachePolicy::fresh(7);
    EXPECT_NE(heat, 0U);
    EXPECT_DOUBLE_EQ(policy.uses(heat, 7), 1);
    for (int i = 0; i < 9; ++i)
        heat = policy.used(heat, 7);
    EXPECT_DOUBLE_EQ(policy.uses(heat, 7), 10);
}

TEST(CachePolicy, AUseCountsHalfAfterItsHalfLife) {
    Heat heat = CachePolicy::fresh(100);
    EXPECT_NEAR(policy.uses(heat, 100 + half_life), 0.5, 1e-6);
    heat = policy.used(heat, 100 + half_life);
    EXPECT_NEAR(policy.uses(heat, 100 + half_life), 1.5, 1e-6);
    EXPECT_NEAR(policy.uses(heat, 100 + 2 * half_life), 0.75, 1e-6);
}

TEST(CachePolicy, NothingAgesWhereNothingIsStored) {
    Heat heat = CachePolicy::fresh(5);
    for (int i = 0; i < 1000; ++i)
        heat = policy.used(heat, 5);
    EXPECT_NEAR(policy.uses(heat, 5), 1001, 0.1);
}

TEST(CachePolicy, TheCountOfStoresMayWrapRoundAndMayLagBehind) {
    const Heat heat = CachePolicy::fresh(0xffffffff);
    EXPECT_NEAR(policy.uses(heat, half_life - 1), 0.5, 1e-6);
    EXPECT_DOUBLE_EQ(policy.uses(CachePolicy::fresh(10), 9), 1);
}

TEST(CachePolicy, IsNeverNothing) {
    Heat heat = CachePolicy::fresh(0);
    EXPECT_GE(policy.uses(heat, 0x7fffffff), 0);
    heat = policy.used(heat, 0x7fffffff);
    EXPECT_NE(heat, 0U);
    EXPECT_NEAR(policy.uses(heat, 0x7fffffff), 1, 1e-6);
}

TEST(CachePolicy, WhatIsDearIsWorthMoreButNotInProportion) {
    const Heat heat = CachePolicy::fresh(0);
    const double cheap = policy.worth(heat, 0, 0.1F, 1024, false);
    const double dear = policy.worth(heat, 0, 1000, 1024, false);
    EXPECT_GT(dear, 2 * cheap);
    EXPECT_LT(dear, 20 * cheap);
    EXPECT_GT(policy.worth(heat, 0, -1, 1024, false), 0) << "a clock that was set back";
}

TEST(CachePolicy, RoomCountsWhereMemoryIsShort) {
    const Heat heat = CachePolicy::fresh(0);
    EXPECT_DOUBLE_EQ(policy.worth(heat, 0, 1, 1024, false), policy.worth(heat, 0, 1, 1024000, false));
    EXPECT_NEAR(policy.worth(heat, 0, 1, 1024, true), 1000 * policy.worth(heat, 0, 1, 1024000, true), 1e-9);
    EXPECT_TRUE(std::isfinite(policy.worth(heat, 0, 1, 0, true)));
}

TEST(CachePolicy, RandomNumbersAreSpreadEvenly) {
    std::uint64_t seed = 1;
    std::vector<int> met(16);
    for (int i = 0; i < 16000; ++i)
        met[next_random(seed) % met.size()]++;
    for (const int each : met)
        EXPECT_NEAR(each, 1000, 150);
}

// ---- Caches of `places` entries, as the store keeps them: of a random sample that which is worth least goes.

struct Simulated {
    explicit Simulated(bool with_costs) : with_costs_(with_costs) {}

    bool ask(int key, float cost) {
        const auto found = places_.find(key);
        if (found != places_.end()) {
            Entry &entry = entries_[found->second];
            entry.heat = policy.used(entry.heat, stores_);
            return true;
        }
        ++stores_;
        const Entry fresh = {key, CachePolicy::fresh(stores_), with_costs_ ? cost : 1};
        if (entries_.size() < places) {
            places_[key] = entries_.size();
            entries_.push_back(fresh);
            return false;
        }
        size_t least = 0;
        double least_worth = INFINITY;
        for (int i = 0; i < CachePolicy::sample; ++i) {
            const size_t at = next_random(seed_) % places;
            const double worth = policy.worth(entries_[at].heat, stores_, entries_[at].cost, 1, false);
            if (worth < least_worth) {
                least = at;
                least_worth = worth;
            }
        }
        places_.erase(entries_[least].key);
        entries_[least] = fresh;
        places_[key] = least;
        return false;
    }

  private:
    struct Entry {
        int key;
        Heat heat;
        float cost;
    };
    bool with_costs_;
    std::uint32_t stores_ = 0;
    std::uint64_t seed_ = 42;
    std::vector<Entry> entries_;
    std::unordered_map<int, size_t> places_;
};

struct LeastRecentlyUsed {
    bool ask(int key, float) {
        const auto found = places_.find(key);
        if (found != places_.end()) {
            order_.splice(order_.begin(), order_, found->second);
            return true;
        }
        if (order_.size() == places) {
            places_.erase(order_.back());
            order_.pop_back();
        }
        order_.push_front(key);
        places_[key] = order_.begin();
        return false;
    }

  private:
    std::list<int> order_;
    std::unordered_map<int, std::list<int>::iterator> places_;
};

// 10,000 keys with Zipf's distribution, exponent 1.2. changed: half way through, other keys become the frequent ones.
struct Load {
    std::vector<int> keys;
    std::vector<float> costs;

    explicit Load(bool changed) {
        constexpr int different = 10000;
        constexpr int calls = 300000;
        std::vector<double> sums;
        double sum = 0;
        for (int i = 0; i < different; ++i)
            sums.push_back(sum += std::pow(i + 1, -1.2));
        std::mt19937_64 generator(7);
        std::uniform_real_distribution<double> at(0, sum);
        for (int i = 0; i < calls; ++i) {
            const auto key = static_cast<int>(std::upper_bound(sums.begin(), sums.end(), at(generator)) - sums.begin());
            keys.push_back(changed && i > calls / 2 ? (key + different / 2) % different : key);
        }
        std::lognormal_distribution<float> cost(0, 1);
        for (int i = 0; i < different; ++i)
            costs.push_back(cost(generator));
    }
};

// Hits among all but the first calls, when the cache is still empty.
template <typename Cache> double hit_ratio(const Load &load, Cache cache) {
    size_t hits = 0;
    size_t counted = 0;
    for (size_t i = 0; i < load.keys.size(); ++i) {
        const bool hit = cache.ask(load.keys[i], load.costs[static_cast<size_t>(load.keys[i])]);
        if (i >= load.keys.size() / 10) {
            ++counted;
            hits += hit ? 1 : 0;
        }
    }
    return static_cast<double>(hits) / static_cast<double>(counted);
}

TEST(CachePolicy, OnZipfsLoadHitsMoreThanLeastRecentlyUsed) {
    const Load load(false);
    const double lru = hit_ratio(load, LeastRecentlyUsed());
    const double equal = hit_ratio(load, Simulated(false));
    const double different = hit_ratio(load, Simulated(true));
    EXPECT_GT(equal, 0.87);
    EXPECT_GT(equal, lru + 0.015);
    EXPECT_GT(different, 0.86) << "costs that differ by their nature are traded for hits";
    EXPECT_GT(different, lru);
}

TEST(CachePolicy, YesterdaysFavouritesGo) {
    const Load load(true);
    EXPECT_GT(hit_ratio(load, Simulated(false)), hit_ratio(load, LeastRecentlyUsed()));
}

} // namespace
