// SQL-visible functions of the statement statistics: thin, no logic.
#include "observe/stats_read.hpp"
#include "pg/function.hpp"
#include "refresh/moment.hpp"

using namespace wc;
using namespace wc::observe;

namespace {

pg::Text timestamp(TimestampTz at) {
    if (at == 0)
        return {};
    return refresh::timestamp_text(at);
}

// Milliseconds, to the nanosecond.
std::string milliseconds(int64 ns) {
    char text[48];
    std::snprintf(text, sizeof text, "%lld.%06lld", static_cast<long long>(ns / 1000000),
                  static_cast<long long>(ns % 1000000));
    return text;
}

std::string number(uint64 value) {
    return std::to_string(static_cast<int64>(value)); // as bigint has it
}

} // namespace

// wc_query_patterns(): a row for each pattern that the caller may see. Errors: 55000 not preloaded.
WC_FUNCTION(wc_query_patterns) {
    const stats::Copy copy{Viewer()};
    pg::ResultSet result(fcinfo);
    for (const stats::Pattern *pattern : copy.patterns()) {
        const bool called = pattern->calls > 0;
        const bool planned = pattern->plan_hash != 0;
        result.add({std::to_string(pattern->database), std::to_string(pattern->role), number(pattern->query_id),
                    GetCommandTagName(pattern->tag), stats::Copy::text(*pattern), number(pattern->calls),
                    number(pattern->failures), milliseconds(pattern->total_ns),
                    called ? pg::Text(milliseconds(pattern->min_ns)) : pg::Text(),
                    called ? pg::Text(milliseconds(pattern->max_ns)) : pg::Text(), number(pattern->rows),
                    timestamp(pattern->since), timestamp(pattern->last_executed),
                    planned ? pg::Text(number(pattern->plan_hash)) : pg::Text(), number(pattern->plan_changes),
                    timestamp(pattern->last_plan_change)});
    }
    return result.done();
}

// wc_query_patterns_kept(): one row. Errors: 55000 not preloaded.
WC_FUNCTION(wc_query_patterns_kept) {
    require_preloaded();
    const stats::Info info = stats::info();
    pg::ResultSet result(fcinfo);
    result.add({std::to_string(info.patterns), std::to_string(info.max), number(info.evicted), number(info.resets),
                timestamp(info.since)});
    return result.done();
}

// wc_reset_query_stats(): how many patterns there were. Errors: 55000 not preloaded.
WC_FUNCTION(wc_reset_query_stats) {
    require_preloaded();
    PG_RETURN_INT32(stats::reset());
}
