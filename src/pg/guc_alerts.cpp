// The settings of alerts.
#include "pg/guc_alerts.hpp"

#include "pg/guard.hpp"

namespace wc::pg::settings::alert {

Limits connections = {80, 95};
Limits connections_waiting = {5, 25};
Limits pooler_connections = {80, 95};
Limits pooler_waiting = {5, 25};
Limits slow_queries = {10, 60};
Limits n_plus_one = {5, 30};
Limits view_age = {2, 4};
Limits refresh_failed = {0, 2};
Limits change_log = {50, 90};
Limits transaction_id_age = {400000000, 1000000000};
Limits replication_lag = {60, 300};
bool pooler_down = true;
bool unhealthy = true;
bool constraint_violations = true;
int repeat = 3600;
int most = 200;

namespace {

struct Pair {
    const char *warning; // the settings' names
    const char *critical;
    const char *warning_text;
    const char *critical_text;
    Limits *limits;
    int greatest;
    int unit;
};

// The server keeps pointers to these names and texts.
const Pair pairs[] = {
    {"whitecross.alert_connections_warning", "whitecross.alert_connections_critical",
     "Percent of the server's connections beyond which there is a warning.",
     "Percent of the server's connections beyond which it is critical.", &connections, 100, 0},
    {"whitecross.alert_connections_waiting_warning", "whitecross.alert_connections_waiting_critical",
     "Sessions waiting for a lock beyond which there is a warning.",
     "Sessions waiting for a lock beyond which it is critical.", &connections_waiting, INT_MAX, 0},
    {"whitecross.alert_pooler_connections_warning", "whitecross.alert_pooler_connections_critical",
     "Percent of a pool of PgBouncer beyond which there is a warning.",
     "Percent of a pool of PgBouncer beyond which it is critical.", &pooler_connections, 100, 0},
    {"whitecross.alert_pooler_waiting_warning", "whitecross.alert_pooler_waiting_critical",
     "Clients waiting for a pool of PgBouncer beyond which there is a warning.",
     "Clients waiting for a pool of PgBouncer beyond which it is critical.", &pooler_waiting, INT_MAX, 0},
    {"whitecross.alert_slow_queries_warning", "whitecross.alert_slow_queries_critical",
     "Slow statements of a database in a minute beyond which there is a warning.",
     "Slow statements of a database in a minute beyond which it is critical.", &slow_queries, INT_MAX, 0},
    {"whitecross.alert_n_plus_one_warning", "whitecross.alert_n_plus_one_critical",
     "Bursts of repeated statements of a database in a minute beyond which there is a warning.",
     "Bursts of repeated statements of a database in a minute beyond which it is critical.", &n_plus_one, INT_MAX, 0},
    {"whitecross.alert_view_age_warning", "whitecross.alert_view_age_critical",
     "Age of a view, in intervals of its schedule, beyond which there is a warning.",
     "Age of a view, in intervals of its schedule, beyond which it is critical.", &view_age, INT_MAX, 0},
    {"whitecross.alert_refresh_failed_warning", "whitecross.alert_refresh_failed_critical",
     "Refreshes of a view that failed in a row beyond which there is a warning.",
     "Refreshes of a view that failed in a row beyond which it is critical.", &refresh_failed, INT_MAX, 0},
    {"whitecross.alert_change_log_warning", "whitecross.alert_change_log_critical",
     "Percent of whitecross.change_log_limit that the change log has, beyond which there is a warning.",
     "Percent of whitecross.change_log_limit that the change log has, beyond which it is critical.", &change_log,
     INT_MAX, 0},
    {"whitecross.alert_transaction_id_age_warning", "whitecross.alert_transaction_id_age_critical",
     "Age of a database's oldest transaction id beyond which there is a warning.",
     "Age of a database's oldest transaction id beyond which it is critical.", &transaction_id_age, INT_MAX, 0},
    {"whitecross.alert_replication_lag_warning", "whitecross.alert_replication_lag_critical",
     "Time that a standby is behind, beyond which there is a warning.",
     "Time that a standby is behind, beyond which it is critical.", &replication_lag, 86400, GUC_UNIT_S},
};

void define_limit(const char *name, const char *text, int &value, const Pair &pair) {
    DefineCustomIntVariable(name, text, "-1: never.", &value, value, -1, pair.greatest, PGC_SIGHUP, pair.unit, nullptr,
                            nullptr, nullptr);
}

} // namespace

void define() {
    for (const Pair &pair : pairs) {
        define_limit(pair.warning, pair.warning_text, pair.limits->warning, pair);
        define_limit(pair.critical, pair.critical_text, pair.limits->critical, pair);
    }
    DefineCustomBoolVariable("whitecross.alert_pooler_down", "That PgBouncer doesn't answer is a critical alert.",
                             "Where whitecross.pgbouncer_conninfo is set.", &pooler_down, true, PGC_SIGHUP, 0, nullptr,
                             nullptr, nullptr);
    DefineCustomBoolVariable("whitecross.alert_unhealthy", "That a database is unhealthy is a critical alert.", nullptr,
                             &unhealthy, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("whitecross.alert_constraint_violations",
                             "That constraints are violated often is an alert.",
                             "By whitecross.violations_warning and whitecross.violations_critical.",
                             &constraint_violations, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.alert_repeat", "How long an alert lasts before it is told again.",
                            "0: it is told once.", &repeat, 3600, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr,
                            nullptr);
    if (process_shared_preload_libraries_in_progress)
        DefineCustomIntVariable("whitecross.alerts_max", "Alerts that can be raised at once.",
                                "Others are not raised until one is over; the log says so.", &most, 200, 1, 10000,
                                PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
}

} // namespace wc::pg::settings::alert
