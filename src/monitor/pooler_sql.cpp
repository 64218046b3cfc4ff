// SQL-visible functions of the pooler, and what those of the limits of sessions need of roles: thin, no logic.
#include "monitor/pooler.hpp"
#include "observe/encoding.hpp"
#include "observe/observe.hpp"

#include "pg/function.hpp"
#include "pg/role_settings.hpp"
#include "refresh/moment.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

using namespace wc;
namespace pooler = wc::monitor::pooler;

namespace {

// As PgBouncer's files are written, if in anything but ASCII.
std::string shown(const std::string &name) {
    return observe::in_database_encoding(name, PG_UTF8);
}

template <typename Number> pg::Text number(const std::optional<Number> &value) {
    if (!value)
        return {};
    return std::to_string(*value);
}

pg::Text moment(TimestampTz at) {
    if (at == 0)
        return {};
    return refresh::timestamp_text(at);
}

// A member of what is not always there.
template <typename Whole, typename Member> pg::Text of(const std::optional<Whole> &whole, Member Whole::*member) {
    if (!whole)
        return {};
    return std::to_string((*whole).*member);
}

} // namespace

// wc_pooler(): a row for each pool of PgBouncer that was ever told of, of the caller's own name, or of all with the
// rights of pg_read_all_stats. Errors: 55000 not preloaded.
WC_FUNCTION(wc_pooler) {
    const pooler::Sample sample = pooler::sample();
    const bool all = observe::Viewer().sees(InvalidOid);
    const std::string self = pg::call([] { return GetUserNameFromId(GetUserId(), false); });
    pg::ResultSet result(fcinfo);
    for (const pooler::Pool &pool : sample.pools) {
        const std::string user = shown(pool.user);
        if (!all && user != self)
            continue;
        const auto &now = pool.present;
        const auto &totals = pool.of_database;
        result.add({shown(pool.database), user, of(now, &pooler::Present::clients_active),
                    of(now, &pooler::Present::clients_waiting), of(now, &pooler::Present::servers_active),
                    of(now, &pooler::Present::servers_idle), of(now, &pooler::Present::servers_used),
                    of(now, &pooler::Present::maxwait_ms), now ? number(now->pool_size) : pg::Text(),
                    now ? number(now->utilisation_percent) : pg::Text(), std::to_string(pool.waits),
                    std::to_string(pool.longest_wait_ms), of(totals, &pooler::DatabaseTotals::transactions),
                    of(totals, &pooler::DatabaseTotals::queries), of(totals, &pooler::DatabaseTotals::wait_ms)});
    }
    return result.done();
}

// wc_pooler_status(): one row, whether PgBouncer is asked and answers. What it said goes to those with the rights of
// pg_read_all_stats. Errors: 55000 not preloaded.
WC_FUNCTION(wc_pooler_status) {
    const pooler::Status status = pooler::sample().status;
    const bool all = observe::Viewer().sees(InvalidOid);
    const auto present = [&](int64 value) { return status.connected ? pg::Text(std::to_string(value)) : pg::Text(); };
    pg::ResultSet result(fcinfo);
    result.add({status.configured ? "t" : "f", status.connected ? "t" : "f",
                status.configured ? moment(status.since) : pg::Text(), moment(status.last_answer),
                std::to_string(status.answers), std::to_string(status.failures), moment(status.last_failure),
                all && !status.last_error.empty() ? pg::Text(status.last_error) : pg::Text(), present(status.pools),
                present(status.pools_left_out), present(status.clients_active), present(status.clients_waiting),
                present(status.servers_active)});
    return result.done();
}

// wc_lock_role(role oid): of two that change the limits of a role, the second waits for the end of the first.
WC_FUNCTION(wc_lock_role) {
    pg::role_settings::lock(PG_GETARG_OID(0));
    PG_RETURN_VOID();
}

// wc_role_setting(role oid, setting text): what ALTER ROLE ... SET has set, as it is now; NULL: nothing.
WC_FUNCTION(wc_role_setting) {
    const Oid role = PG_GETARG_OID(0);
    return pg::return_text(fcinfo, pg::role_settings::get(role, pg::required_text(fcinfo, 1, "setting")));
}
