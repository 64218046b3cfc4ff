// The settings of alerts: the limits that what is watched is held against. All of them are the server's (SIGHUP), so
// that every process that reads something holds it against the same.
#pragma once

namespace wc::pg::settings::alert {

// Of one thing that is watched: whitecross.alert_NAME_warning and whitecross.alert_NAME_critical. -1: never.
struct Limits {
    int warning;
    int critical;
};

extern Limits connections;         // percent of the connections of the server
extern Limits connections_waiting; // sessions that wait for a lock
extern Limits pooler_connections;  // percent of a pool
extern Limits pooler_waiting;      // clients that wait for a connection of a pool
extern Limits slow_queries;        // of a database, in a minute
extern Limits n_plus_one;          // bursts of a database, in a minute
extern Limits view_age;            // times the interval of a view's schedule
extern Limits refresh_failed;      // of a view, in a row
extern Limits change_log;          // percent of whitecross.change_log_limit
extern Limits transaction_id_age;  // transactions
extern Limits replication_lag;     // seconds

extern bool pooler_down;           // whitecross.alert_pooler_down: that PgBouncer doesn't answer is critical
extern bool unhealthy;             // whitecross.alert_unhealthy: that a database is unhealthy is critical
extern bool constraint_violations; // whitecross.alert_constraint_violations: by the limits of wc_constraint_violations
extern int repeat; // whitecross.alert_repeat: seconds after which an alert that lasts is told again; 0: never
extern int most;   // whitecross.alerts_max: alerts that are raised at once

// Defines them. Called once, by settings::define().
void define();

} // namespace wc::pg::settings::alert
