// SQL-visible functions of alerts: thin, no logic.
#include "core/alert_text.hpp"
#include "monitor/alerts.hpp"
#include "observe/encoding.hpp"
#include "observe/shown.hpp"

#include "pg/function.hpp"

using namespace wc;
using namespace wc::monitor;

// wc_raised_alerts(): the alerts that are raised now and that the caller may see, the worst first; values and limits
// with at most two decimals. Errors: 55000 not preloaded.
WC_FUNCTION(wc_raised_alerts) {
    const auto raised = alerts::list();
    pg::ResultSet result(fcinfo);
    for (const auto &[reading, state, source, since, last_raised] : raised)
        result.add({core::alert::name(state.level), alerts::name(reading.name),
                    observe::in_database_encoding(reading.subject, reading.encoding),
                    OidIsValid(reading.database) ? observe::shown::database(reading.database) : pg::Text(),
                    core::alert::number(reading.value), core::alert::number(state.limit), observe::shown::moment(since),
                    observe::shown::moment(last_raised)});
    return result.done();
}

// wc_alert_status(): one row, of the table of alerts, and of what this database is still to be notified of. Errors:
// 55000 not preloaded.
WC_FUNCTION(wc_alert_status) {
    const auto status = alerts::status();
    pg::ResultSet result(fcinfo);
    result.add({observe::shown::number(status.raised), observe::shown::number(status.most),
                observe::shown::number(static_cast<int64>(status.refused)), observe::shown::moment(status.refused_at),
                observe::shown::number(status.untold), observe::shown::number(static_cast<int64>(status.lost)),
                observe::shown::moment(status.told_at)});
    return result.done();
}
