// Words of shared memory that are added to without a lock: a place for each database, taken by the first call there.
#include "cache/stats.hpp"

#include "pg/hooks.hpp"
#include "pg/per_database.hpp"
#include "pg/preloaded.hpp"

namespace wc::cache::stats {

namespace {

// On lines of the processor's cache of its own.
struct alignas(128) Place {
    pg_atomic_uint32 database; // InvalidOid: free, or that of the others
    pg_atomic_uint64 since;    // TimestampTz
    pg_atomic_uint64 counts[counter_count];
    pg_atomic_uint64 refusals[refusal_count];
};

constinit pg::PerDatabase<Place> places;

void start(void *memory, LWLock *, bool fresh) {
    const auto now = static_cast<uint64>(GetCurrentTimestamp());
    places.start(memory, fresh, [=](Place &place) {
        pg_atomic_init_u64(&place.since, now);
        for (auto &count : place.counts)
            pg_atomic_init_u64(&count, 0);
        for (auto &count : place.refusals)
            pg_atomic_init_u64(&count, 0);
    });
}

} // namespace

void count(Counter counter, uint64 number) noexcept {
    if (places.made() && number != 0)
        pg_atomic_fetch_add_u64(&places.own().counts[static_cast<int>(counter)], static_cast<int64>(number));
}

void count_in(Oid database, Counter counter, uint64 number) noexcept {
    if (database == MyDatabaseId)
        count(counter, number);
    else if (places.made() && number != 0)
        pg_atomic_fetch_add_u64(&places.of(database).counts[static_cast<int>(counter)], static_cast<int64>(number));
}

void refused(Refusal reason) noexcept {
    if (places.made())
        pg_atomic_fetch_add_u64(&places.own().refusals[static_cast<int>(reason)], 1);
}

std::vector<Counts> list() {
    require_preloaded();
    (void)places.own();
    std::vector<Counts> all;
    for (Place &place : places) {
        Counts each;
        each.database = pg_atomic_read_u32(&place.database);
        each.since = static_cast<TimestampTz>(pg_atomic_read_u64(&place.since));
        bool used = OidIsValid(each.database);
        for (int k = 0; k < counter_count; ++k) {
            each.counts[k] = pg_atomic_read_u64(&place.counts[k]);
            used = used || each.counts[k] != 0;
        }
        for (int k = 0; k < refusal_count; ++k) {
            each.refusals[k] = pg_atomic_read_u64(&place.refusals[k]);
            used = used || each.refusals[k] != 0;
        }
        if (used)
            all.push_back(each);
    }
    return all;
}

void reset() {
    require_preloaded();
    Place &own = places.own();
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
        pg::hooks::shared_memory({"whitecross cache statistics", pg::PerDatabase<Place>::size, start});
}

} // namespace wc::cache::stats
