// SQL-visible functions of the statement statistics: thin, no logic.
#include "observe/shown.hpp"
#include "observe/stats_read.hpp"
#include "observe/totals.hpp"
#include "pg/function.hpp"

using namespace wc;
using namespace wc::observe;
using namespace wc::observe::shown;

// wc_query_patterns(): a row for each pattern that the caller may see. Errors: 55000 not preloaded.
WC_FUNCTION(wc_query_patterns) {
    const stats::Copy copy{Viewer()};
    pg::ResultSet result(fcinfo);
    for (const stats::Pattern *pattern : copy.patterns()) {
        const bool called = pattern->calls > 0;
        const bool planned = pattern->plan_hash != 0;
        result.add({std::to_string(pattern->database), std::to_string(pattern->role),
                    number(static_cast<int64>(pattern->query_id)), GetCommandTagName(pattern->tag),
                    stats::Copy::text(*pattern), number(static_cast<int64>(pattern->calls)),
                    number(static_cast<int64>(pattern->failures)), milliseconds(pattern->total_ns),
                    called ? milliseconds(pattern->min_ns) : pg::Text(),
                    called ? milliseconds(pattern->max_ns) : pg::Text(), number(static_cast<int64>(pattern->rows)),
                    moment(pattern->since), moment(pattern->last_executed),
                    planned ? number(static_cast<int64>(pattern->plan_hash)) : pg::Text(),
                    number(static_cast<int64>(pattern->plan_changes)), moment(pattern->last_plan_change)});
    }
    return result.done();
}

// wc_query_patterns_kept(): one row. Errors: 55000 not preloaded.
WC_FUNCTION(wc_query_patterns_kept) {
    require_preloaded();
    const stats::Info info = stats::info();
    pg::ResultSet result(fcinfo);
    result.add({std::to_string(info.patterns), std::to_string(info.max), number(static_cast<int64>(info.evicted)),
                number(static_cast<int64>(info.resets)), moment(info.since)});
    return result.done();
}

// wc_reset_query_stats(): how many patterns there were. Errors: 55000 not preloaded.
WC_FUNCTION(wc_reset_query_stats) {
    require_preloaded();
    PG_RETURN_INT32(stats::reset());
}

// wc_query_totals(): one row for each database, and one (OID 0) for those without a place of their own. Errors: 55000
// not preloaded.
WC_FUNCTION(wc_query_totals) {
    const auto totals = totals::list();
    pg::ResultSet result(fcinfo);
    for (const auto &[database, counts, slow, bursts] : totals)
        result.add({std::to_string(database), number(static_cast<int64>(counts.calls)),
                    number(static_cast<int64>(counts.failures)), milliseconds(static_cast<int64>(counts.total_ns)),
                    number(static_cast<int64>(counts.rows)), number(static_cast<int64>(slow)),
                    number(static_cast<int64>(bursts))});
    return result.done();
}
