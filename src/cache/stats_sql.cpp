// SQL-visible functions of the cache's statistics and of making it forget: thin, no logic.
#include "cache/fills.hpp"
#include "cache/relatives.hpp"
#include "cache/second_tier.hpp"
#include "cache/stats.hpp"
#include "cache/store.hpp"
#include "pg/function.hpp"
#include "pg/preloaded.hpp"

extern "C" {
#include "catalog/pg_authid.h"
}

using namespace wc;
using namespace wc::cache;
using stats::Counter;

namespace {

std::string number(uint64 value) {
    return std::to_string(static_cast<int64>(value)); // as bigint
}

// {"own_writes": 3}: the words need no quoting.
std::string as_json(const std::array<uint64, refusal_count> &refusals) {
    std::string json = "{";
    for (int i = 0; i < refusal_count; ++i)
        if (refusals[i] != 0)
            json += std::string(json.size() > 1 ? ", " : "") + "\"" + word(static_cast<Refusal>(i)) +
                    "\": " + number(refusals[i]);
    return json + "}";
}

pg::Text moment(TimestampTz at) {
    const char *const text = pg::call([at]() -> const char * {
        return DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(at)));
    });
    return std::string(text);
}

std::string array(const std::vector<Oid> &oids) {
    std::string text = "{";
    for (const Oid oid : oids)
        text += (text.size() > 1 ? "," : "") + std::to_string(oid);
    return text + "}";
}

} // namespace

// wc_cache_counts(): a row for each database that has used the cache, and for this one. Errors: 55000 not preloaded.
WC_FUNCTION(wc_cache_counts) {
    const auto all = stats::list();
    const auto held = store::held();
    pg::ResultSet result(fcinfo);
    for (const auto &each : all) {
        store::Held here = {each.database, 0, 0};
        for (const auto &one : held)
            if (one.database == each.database)
                here = one;
        const auto counted = [&each](Counter counter) { return number(each.counts[static_cast<int>(counter)]); };
        result.add({std::to_string(each.database), number(here.entries), number(here.bytes), counted(Counter::Hits),
                    counted(Counter::Misses), counted(Counter::Stores), counted(Counter::Evictions),
                    counted(Counter::Invalidations), counted(Counter::Expirations), as_json(each.refusals),
                    counted(Counter::Waits), counted(Counter::SecondHits), counted(Counter::SecondMisses),
                    counted(Counter::SecondStores), counted(Counter::SecondErrors), counted(Counter::SecondTimeouts),
                    moment(each.since)});
    }
    return result.done();
}

// wc_cache_memory(): one row, in entries and bytes. Errors: 55000 not preloaded.
WC_FUNCTION(wc_cache_memory) {
    const auto room = store::room();
    (void)generations::usable(); // prepared transactions that are over don't count, though nobody has asked since
    pg::ResultSet result(fcinfo);
    result.add({number(room.entries), number(room.most_entries), number(room.bytes), number(room.most_bytes),
                std::to_string(fills::in_flight()), std::to_string(generations::held_by_prepared())});
    return result.done();
}

// wc_cache_second_tier(): one row. Errors: 55000 not preloaded.
WC_FUNCTION(wc_cache_second_tier) {
    pg::require_preloaded();
    const auto status = second_tier::status();
    pg::ResultSet result(fcinfo);
    result.add(
        {second_tier::word(status.state), status.last_error[0] != '\0' ? pg::Text(status.last_error) : pg::Text()});
    return result.done();
}

// wc_reset_cache_stats(): of this database. Errors: 55000 not preloaded.
WC_FUNCTION(wc_reset_cache_stats) {
    stats::reset();
    return pg::return_null(fcinfo);
}

// wc_cached_entries(): the entries of this database that the caller may see. Errors: 55000 not preloaded.
WC_FUNCTION(wc_cached_entries) {
    const Oid caller = GetUserId();
    const bool all = pg::call([caller] { return has_privs_of_role(caller, ROLE_PG_READ_ALL_STATS); });
    const auto entries = store::entries(all ? InvalidOid : caller);
    pg::ResultSet result(fcinfo);
    for (const auto &each : entries)
        result.add({each.tag ? pg::Text(*each.tag) : pg::Text(), array(each.tables), std::to_string(each.role),
                    number(each.query_id), std::to_string(each.ttl_ms), std::to_string(each.age_ms), number(each.hits),
                    number(each.bytes), std::to_string(each.cost_ms)});
    return result.done();
}

// wc_cache_clear(): how many entries of this database there were. Errors: 55000 not preloaded.
WC_FUNCTION(wc_cache_clear) {
    PG_RETURN_INT64(store::clear());
}

// wc_cache_invalidate(table): how many entries that were read from it, its partitions and children are gone. Errors:
// 42P01 there is no such relation, 42809 it is neither a table nor a view, 55000 not preloaded.
WC_FUNCTION(wc_cache_invalidate) {
    pg::require_preloaded();
    std::vector<uint32> cells;
    for (const Oid each : relatives_of(PG_GETARG_OID(0)))
        cells.push_back(generations::cell_of(MyDatabaseId, each));
    PG_RETURN_INT64(store::invalidate_cells(cells));
}

// wc_cache_invalidate_tag(pattern): how many entries of this database with such a tag are gone. Errors: 22025 the
// pattern ends with an escape character, 55000 not preloaded.
WC_FUNCTION(wc_cache_invalidate_tag) {
    PG_RETURN_INT64(store::invalidate_tags(pg::required_text(fcinfo, 0, "pattern")));
}
