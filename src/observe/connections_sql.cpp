// SQL-visible functions of connections: thin, no logic.
#include "observe/connections.hpp"
#include "observe/connections_shown.hpp"

#include "pg/function.hpp"

using namespace wc;
namespace connections = wc::observe::connections;

// wc_connections() -> scope, database, role, active, idle, idle_in_transaction, waiting, total, max,
// utilisation_percent, oldest_transaction: what there is now. Needs no preloaded library. Errors: none of its own.
WC_FUNCTION(wc_connections) {
    const connections::Sample sample = connections::take();
    pg::ResultSet result(fcinfo);
    connections::Shown shown(result, false);
    shown.add(sample);
    return result.done();
}
