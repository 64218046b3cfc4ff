// Words of shared memory that are added to without a lock: a place for each database, taken by its first statement.
#include "observe/totals.hpp"

#include "observe/observe.hpp"
#include "observe/stats.hpp"
#include "pg/hooks.hpp"

extern "C" {
#include "miscadmin.h"
#include "port/atomics.h"
}

namespace wc::observe::totals {

namespace {

constexpr uint32 databases = 50;

// On lines of the processor's cache of its own.
struct alignas(128) Place {
    pg_atomic_uint32 database; // InvalidOid: free, or that of the others
    pg_atomic_uint32 taken_back;
    pg_atomic_uint64 calls;
    pg_atomic_uint64 failures;
    pg_atomic_uint64 total_ns;
    pg_atomic_uint64 rows;
    pg_atomic_uint64 slow;
    pg_atomic_uint64 bursts;
};

Place *places = nullptr; // of databases, and one for the others; null: the library was not loaded at server start

Size size() {
    return add_size(alignof(Place), mul_size(sizeof(Place), databases + 1));
}

void start(void *memory, LWLock *, bool fresh) {
    places = reinterpret_cast<Place *>(TYPEALIGN(alignof(Place), memory));
    if (!fresh)
        return;
    for (uint32 i = 0; i <= databases; ++i) {
        pg_atomic_init_u32(&places[i].database, InvalidOid);
        pg_atomic_init_u32(&places[i].taken_back, 0);
        for (pg_atomic_uint64 *const count : {&places[i].calls, &places[i].failures, &places[i].total_ns,
                                              &places[i].rows, &places[i].slow, &places[i].bursts})
            pg_atomic_init_u64(count, 0);
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

void add_to(pg_atomic_uint64 &count, uint64 number) noexcept {
    if (number != 0)
        pg_atomic_fetch_add_u64(&count, static_cast<int64>(number));
}

} // namespace

void init() {
    pg::hooks::shared_memory({"whitecross query totals", size, start});
}

void add(const Counts &counts) noexcept {
    Place &place = own_place();
    add_to(place.calls, counts.calls);
    add_to(place.failures, counts.failures);
    add_to(place.total_ns, counts.total_ns);
    add_to(place.rows, counts.rows);
}

void add_slow() noexcept {
    add_to(own_place().slow, 1);
}

void add_burst(Oid database) noexcept {
    Place &place = place_of(database);
    uint32 owed = pg_atomic_read_u32(&place.taken_back);
    while (owed > 0)
        if (pg_atomic_compare_exchange_u32(&place.taken_back, &owed, owed - 1))
            return;
    add_to(place.bursts, 1);
}

void retract_burst(Oid database) noexcept {
    pg_atomic_fetch_add_u32(&place_of(database).taken_back, 1);
}

std::vector<Total> list() {
    require_preloaded();
    stats::flush();
    std::vector<Total> all;
    for (uint32 i = 0; i <= databases; ++i) {
        Place &from = places[i];
        const Oid database = pg_atomic_read_u32(&from.database);
        if (OidIsValid(database) || i == databases)
            all.push_back({database,
                           {pg_atomic_read_u64(&from.calls), pg_atomic_read_u64(&from.failures),
                            pg_atomic_read_u64(&from.total_ns), pg_atomic_read_u64(&from.rows)},
                           pg_atomic_read_u64(&from.slow),
                           pg_atomic_read_u64(&from.bursts)});
    }
    return all;
}

} // namespace wc::observe::totals
