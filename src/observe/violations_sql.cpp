// SQL-visible functions of constraint violations: thin, no logic.
#include "observe/violations.hpp"

#include "pg/function.hpp"
#include "refresh/moment.hpp"

using namespace wc;
namespace violations = wc::observe::violations;

namespace {

pg::Text given(const std::string &text) {
    if (text.empty())
        return {};
    return text;
}

} // namespace

// wc_constraint_violations(): a row for each constraint of this database that was violated, and first their sum.
// Errors: 55000 not preloaded.
WC_FUNCTION(wc_constraint_violations) {
    const auto found = violations::list();
    pg::ResultSet result(fcinfo);
    for (const auto &each : found)
        result.add({given(each.table), given(each.constraint), violations::name(each.kind),
                    std::to_string(each.last_hour), std::to_string(each.last_day), std::to_string(each.total),
                    each.last_seen != 0 ? pg::Text(refresh::timestamp_text(each.last_seen)) : pg::Text(),
                    violations::level(each.last_hour)});
    return result.done();
}

// wc_constraint_violations_info(): one row, of the table they are counted in. Errors: 55000 not preloaded.
WC_FUNCTION(wc_constraint_violations_info) {
    const auto info = violations::info();
    pg::ResultSet result(fcinfo);
    result.add({std::to_string(info.constraints), std::to_string(info.most), std::to_string(info.evicted),
                refresh::timestamp_text(info.since)});
    return result.done();
}

// wc_reset_constraint_violations(): forgets those of this database; how many constraints that were. Errors: 55000 not
// preloaded.
WC_FUNCTION(wc_reset_constraint_violations) {
    PG_RETURN_INT32(violations::reset());
}
