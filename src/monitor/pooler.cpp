// What is known of PgBouncer, for those who show it or raise alerts of it.
#include "monitor/pooler.hpp"

#include "monitor/pooler_board.hpp"
#include "observe/observe.hpp"
#include "pg/guc.hpp"

#include <algorithm>
#include <chrono>

namespace wc::monitor::pooler {

namespace {

constexpr double us_per_ms = 1000;

Present present(const core::pooler::Pool &pool) {
    Present out;
    out.clients_active = pool.clients_active;
    out.clients_waiting = pool.clients_waiting;
    out.servers_active = pool.servers_active;
    out.servers_idle = pool.servers_idle;
    out.servers_used = pool.servers_used;
    out.maxwait_ms = static_cast<double>(pool.maxwait_us) / us_per_ms;
    if (pool.pool_size > 0)
        out.pool_size = pool.pool_size;
    out.utilisation_percent = core::pooler::utilisation_percent(pool);
    return out;
}

// An answer is the present until two more should have come: a monitor that was stopped says nothing of its end.
bool is_fresh(const State &state) {
    using namespace std::chrono;
    const auto now = duration_cast<nanoseconds>(steady_clock::now().time_since_epoch());
    const auto allowed = 2 * seconds(pg::settings::monitor_interval) + milliseconds(pg::settings::pgbouncer_timeout);
    return state.connected && now - nanoseconds(state.answered) <= allowed;
}

Status status(const Copy &copy) {
    Status out;
    out.configured = pg::settings::pgbouncer_conninfo != nullptr && *pg::settings::pgbouncer_conninfo != '\0';
    out.connected = out.configured && is_fresh(copy.state);
    out.since = copy.state.since;
    out.last_answer = copy.state.answered_at;
    out.answers = copy.ledger.answers;
    out.failures = copy.state.failures;
    out.last_failure = copy.state.failed_at;
    out.last_error = copy.state.error;
    if (!out.connected)
        return out;
    out.pools = copy.ledger.pools;
    out.pools_left_out = copy.ledger.pools_left_out;
    out.clients_active = copy.ledger.clients_active;
    out.clients_waiting = copy.ledger.clients_waiting;
    out.servers_active = copy.ledger.servers_active;
    return out;
}

} // namespace

void init() {
    make_board();
}

Sample sample() {
    observe::require_preloaded();
    const std::unique_ptr<Copy> copied = copy();
    Sample out;
    out.status = status(*copied);
    std::map<std::string_view, DatabaseTotals> totals;
    for (const core::pooler::Database &database : copied->ledger.database)
        if (database.name[0] != '\0')
            totals[database.name] = {database.total.transactions, database.total.queries,
                                     static_cast<double>(database.total.wait_us) / us_per_ms};
    for (const core::pooler::Pool &pool : copied->ledger.pool) {
        if (pool.database[0] == '\0')
            continue;
        Pool shown = {
            pool.database, pool.user, {}, pool.waits, static_cast<double>(pool.longest_wait_us) / us_per_ms, {}};
        if (out.status.connected && pool.listed)
            shown.present = present(pool);
        if (const auto found = totals.find(pool.database); found != totals.end())
            shown.of_database = found->second;
        out.pools.push_back(std::move(shown));
    }
    std::sort(out.pools.begin(), out.pools.end(),
              [](const Pool &a, const Pool &b) { return std::tie(a.database, a.user) < std::tie(b.database, b.user); });
    return out;
}

} // namespace wc::monitor::pooler
