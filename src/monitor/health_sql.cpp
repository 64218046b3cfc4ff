// SQL-visible functions of the health of databases: thin, no logic.
#include "monitor/health_shown.hpp"
#include "observe/observe.hpp"
#include "observe/shown.hpp"

#include "pg/function.hpp"

extern "C" {
#include "catalog/pg_authid.h"
}

using namespace wc;
namespace observe = wc::observe;
namespace health = wc::monitor::health;
namespace registry = wc::monitor::registry;

// wc_health_status() -> healthy, consecutive_failures, last_check, last_failure, duration_ms (milliseconds), failing,
// reason: one row, of this database. Errors: 55000 where the library is not preloaded.
WC_FUNCTION(wc_health_status) {
    observe::require_preloaded();
    pg::ResultSet result(fcinfo);
    const auto known = registry::find(MyDatabaseId);
    result.add(known ? health::shown(*known) : health::shown_unknown(MyDatabaseId));
    return result.done();
}

// wc_database_health() -> database, version, and the columns of wc_health_status(): one row for each database that has
// the extension; without the rights of pg_read_all_stats only this one's. Errors: 55000 where the library is not
// preloaded.
WC_FUNCTION(wc_database_health) {
    observe::require_preloaded();
    const bool all = pg::call([] { return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS); });
    pg::ResultSet result(fcinfo);
    for (const Oid oid : registry::with_extension()) {
        const auto known = all || oid == MyDatabaseId ? registry::find(oid) : std::nullopt;
        const pg::Text name = known ? observe::shown::database(oid) : pg::Text();
        if (!name) // not to be seen, or dropped since
            continue;
        pg::Row row = {name, pg::Text(known->version)};
        for (auto &value : health::shown(*known))
            row.push_back(std::move(value));
        result.add(row);
    }
    return result.done();
}
