// What the cache has done, by database: words of shared memory that are added to without a lock.
#pragma once

#include "cache/refusal.hpp"
#include "pg/guard.hpp"

#include <array>

namespace wc::cache::stats {

enum class Counter {
    Hits,   // calls whose rows came from the first tier
    Misses, // calls whose query could be cached, and ran or came from the second tier
    Stores,
    Evictions,
    Invalidations, // entries that were found stale, or asked to go
    Expirations,
    Waits,      // for another session's fill
    SecondHits, // of the second tier
    SecondMisses,
    SecondStores,
    SecondErrors,
    SecondTimeouts,
    Count
};

constexpr int counter_count = static_cast<int>(Counter::Count);

// For this database. Nothing where the library isn't preloaded.
void count(Counter counter, uint64 number = 1) noexcept;
void count_in(Oid database, Counter counter, uint64 number = 1) noexcept;
void refused(Refusal reason) noexcept;

struct Counts {
    Oid database = InvalidOid; // InvalidOid: of those that came after the first 50
    std::array<uint64, counter_count> counts = {};
    std::array<uint64, refusal_count> refusals = {};
    TimestampTz since = 0; // the last reset, or the server's start
};

// Of each database that has used the cache. Throws 55000 where the library isn't preloaded.
std::vector<Counts> list();

// Sets those of this database to 0. Throws 55000.
void reset();

// Throws 55000, with the line for postgresql.conf, where the library is not preloaded.
void require_preloaded();

// Its shared memory. Called once, by cache::init().
void init();

} // namespace wc::cache::stats
