// Words of shared memory that are added to without a lock: a place for each database, taken by the first call there.
#include "cache/stats.hpp"

#include "pg/hooks.hpp"
#include "pg/preloaded.hpp"

extern "C" {
#include "port/atomics.h"
}

namespace wc::cache::stats {

namespace {

constexpr uint32 databases = 50;

// On lines of the processor's cache of its own.
struct alignas(128) Place {
    pg_atomic_uint32 database; // InvalidOid: free, or that of the others
    pg_atomic_uint64 since;    // TimestampTz
    pg_atomic_uint64 counts[counter_count];
    pg_atomic_uint64 refusals[refusal_count];
};

Place *places = nullptr; // of databases, and one for the others; null: the library was not loaded at server start

Size size() {
    return add_size(alignof(Place), mul_size(sizeof(Place), databases + 1));
}

void start(void *memory, LWLock *, bool fresh) {
    places = reinterpret_cast<Place *>(TYPEALIGN(alignof(Place), memory));
    if (!fresh)
        return;
    const auto now = static_cast<uint64>(GetCurrentTimestamp());
    for (uint32 i = 0; i <= databases; ++i) {
        pg_atomic_init_u32(&places[i].database, InvalidOid);
        pg_atomic_init_u64(&places[i].since, now);
        for (auto &count : places[i].counts)
            pg_atomic_init_u64(&count, 0);
        for (auto &count : places[i].refusals)
            pg_atomic_init_u64(&count, 0);
    }
}

// The place of a database, taken for it where there is none yet and one is free. Places are never given back, so what
// stands before a free one doesn't change any more.
Place &place_of(Oid database) noexcept {
    for (uint32 i = 0; i < databases && OidIsValid(database); ++i) {
        uint32 there = pg_atomic_read_u32(&places[i].database);
        if (there == InvalidOid && pg_atomic_compare_exchange_u32(&places[i].database, &there, database))
            return places[i];
        if (there == database)
            return places[i];
    }
    return places[databases];
}

Place &own_place() noexcept {
    static constinit Place *own = nullptr;
    if (own == nullptr)
        own = &place_of(MyDatabaseId);
    return *own;
}

} // namespace

void count(Counter counter, uint64 number) noexcept {
    if (places != nullptr && number != 0)
        pg_atomic_fetch_add_u64(&own_place().counts[static_cast<int>(counter)], static_cast<int64>(number));
}

void count_in(Oid database, Counter counter, uint64 number) noexcept {
    if (database == MyDatabaseId)
        count(counter, number);
    else if (places != nullptr && number != 0)
        pg_atomic_fetch_add_u64(&place_of(database).counts[static_cast<int>(counter)], static_cast<int64>(number));
}

void refused(Refusal reason) noexcept {
    if (places != nullptr)
        pg_atomic_fetch_add_u64(&own_place().refusals[static_cast<int>(reason)], 1);
}

std::vector<Counts> list() {
    require_preloaded();
    (void)own_place();
    std::vector<Counts> all;
    for (uint32 i = 0; i <= databases; ++i) {
        Counts each;
        each.database = pg_atomic_read_u32(&places[i].database);
        each.since = static_cast<TimestampTz>(pg_atomic_read_u64(&places[i].since));
        bool used = OidIsValid(each.database);
        for (int k = 0; k < counter_count; ++k) {
            each.counts[k] = pg_atomic_read_u64(&places[i].counts[k]);
            used = used || each.counts[k] != 0;
        }
        for (int k = 0; k < refusal_count; ++k) {
            each.refusals[k] = pg_atomic_read_u64(&places[i].refusals[k]);
            used = used || each.refusals[k] != 0;
        }
        if (used)
            all.push_back(each);
    }
    return all;
}

void reset() {
    require_preloaded();
    Place &own = own_place();
    for (auto &count : own.counts)
        pg_atomic_write_u64(&count, 0);
    for (auto &count : own.refusals)
        pg_atomic_write_u64(&count, 0);
    pg_atomic_write_u64(&own.since, static_cast<uint64>(GetCurrentTimestamp()));
}

void require_preloaded() {
    pg::require_preloaded();
}

void init() {
    if (pg::hooks::server_is_starting() && !IsBinaryUpgrade)
        pg::hooks::shared_memory({"whitecross cache statistics", size, start});
}

} // namespace wc::cache::stats
