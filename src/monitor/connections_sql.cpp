// SQL-visible functions of connections: thin, no logic.
#include "monitor/connections_history.hpp"
#include "monitor/connections_shown.hpp"

#include "pg/function.hpp"
#include "refresh/moment.hpp"

#include <algorithm>

using namespace wc;
namespace connections = wc::monitor::connections;

namespace {

pg::Text moment(TimestampTz at) {
    if (at == 0)
        return {};
    return refresh::timestamp_text(at);
}

} // namespace

// wc_connections() -> scope, database, role, active, idle, idle_in_transaction, waiting, total, max,
// utilisation_percent, oldest_transaction: what there is now. Needs no preloaded library. Errors: none of its own.
WC_FUNCTION(wc_connections) {
    const connections::Sample sample = connections::take();
    pg::ResultSet result(fcinfo);
    connections::Shown shown(result, false);
    shown.add(sample);
    return result.done();
}

// wc_connection_history(since timestamptz) -> sampled_at, and the columns of wc_connections: the samples from that
// moment on, or all that are kept. Errors: 55000 not preloaded.
WC_FUNCTION(wc_connection_history) {
    observe::require_preloaded();
    TimestampTz since = connections::start_of_history();
    if (!PG_ARGISNULL(0))
        since = std::max(since, PG_GETARG_TIMESTAMPTZ(0));
    pg::ResultSet result(fcinfo);
    connections::Shown shown(result, true);
    connections::read_history(since, [&](const connections::Sample &sample) { shown.add(sample); });
    return result.done();
}

// wc_connection_history_status() -> sampled_at, written_at, sqlstate, lost, files, size_bytes: one row. Errors: 55000
// not preloaded.
WC_FUNCTION(wc_connection_history_status) {
    observe::require_preloaded();
    const auto status = connections::history_status();
    pg::ResultSet result(fcinfo);
    result.add({moment(status.sampled_at), moment(status.written_at),
                status.sqlstate != 0 ? pg::Text(pg::sqlstate_text(status.sqlstate)) : pg::Text(),
                std::to_string(status.lost), std::to_string(status.files), std::to_string(status.size_bytes)});
    return result.done();
}
