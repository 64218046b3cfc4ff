// Words of shared memory that are added to without a lock: a place for each database, taken by its first statement.
#include "observe/totals.hpp"

#include "observe/observe.hpp"
#include "observe/stats.hpp"
#include "pg/hooks.hpp"
#include "pg/per_database.hpp"

extern "C" {
#include "miscadmin.h"
}

namespace wc::observe::totals {

namespace {

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

constinit pg::PerDatabase<Place> places;

void start(void *memory, LWLock *, bool fresh) {
    places.start(memory, fresh, [](Place &place) {
        pg_atomic_init_u32(&place.taken_back, 0);
        for (pg_atomic_uint64 *const count :
             {&place.calls, &place.failures, &place.total_ns, &place.rows, &place.slow, &place.bursts})
            pg_atomic_init_u64(count, 0);
    });
}

void add_to(pg_atomic_uint64 &count, uint64 number) noexcept {
    if (number != 0)
        pg_atomic_fetch_add_u64(&count, static_cast<int64>(number));
}

} // namespace

void init() {
    pg::hooks::shared_memory({"whitecross query totals", pg::PerDatabase<Place>::size, start});
}

void add(const Counts &counts) noexcept {
    Place &place = places.own();
    add_to(place.calls, counts.calls);
    add_to(place.failures, counts.failures);
    add_to(place.total_ns, counts.total_ns);
    add_to(place.rows, counts.rows);
}

void add_slow() noexcept {
    add_to(places.own().slow, 1);
}

void add_burst(Oid database) noexcept {
    Place &place = places.of(database);
    uint32 owed = pg_atomic_read_u32(&place.taken_back);
    while (owed > 0)
        if (pg_atomic_compare_exchange_u32(&place.taken_back, &owed, owed - 1))
            return;
    add_to(place.bursts, 1);
}

void retract_burst(Oid database) noexcept {
    pg_atomic_fetch_add_u32(&places.of(database).taken_back, 1);
}

std::vector<Total> list() {
    require_preloaded();
    stats::flush();
    std::vector<Total> all;
    for (Place &from : places) {
        const Oid database = pg_atomic_read_u32(&from.database);
        if (OidIsValid(database) || places.is_of_others(from))
            all.push_back({database,
                           {pg_atomic_read_u64(&from.calls), pg_atomic_read_u64(&from.failures),
                            pg_atomic_read_u64(&from.total_ns), pg_atomic_read_u64(&from.rows)},
                           pg_atomic_read_u64(&from.slow),
                           pg_atomic_read_u64(&from.bursts)});
    }
    return all;
}

} // namespace wc::observe::totals
