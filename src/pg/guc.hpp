// Every setting of the extension, in one place.
#pragma once

#include <cstdint>

namespace wc::pg::settings {

extern int lock_timeout;        // whitecross.lock_timeout: milliseconds to wait for a lock; 0: no limit
extern int max_refresh_workers; // whitecross.max_refresh_workers: background workers of one wc_refresh_all() at once
extern int refresh_log_days;    // whitecross.refresh_log_days: days that wc_refresh_log keeps
extern int change_log_limit;    // whitecross.change_log_limit: rows of wc_change
extern bool install_on_create;  // whitecross.install_on_create: CREATE EXTENSION calls wc_install()
extern bool live_refresh;       // whitecross.live_refresh: of a database: a worker keeps its views true
extern int live_refresh_delay;  // whitecross.live_refresh_delay: milliseconds between two rounds of it, at least
extern char *now;               // whitecross.now: the clock of the views; empty: now()
extern int query_history_days;  // whitecross.query_history_days: days that the hours of wc_query_history are kept
extern int query_history_clock_offset; // whitecross.query_history_clock_offset: seconds by which its clock is ahead
extern int violations_max;             // whitecross.violations_max: constraints whose violations are counted
extern int violations_warning;   // whitecross.violations_warning: violations an hour beyond which the level is warning
extern int violations_critical;  // whitecross.violations_critical: the same, critical
extern int slow_query_threshold; // whitecross.slow_query_threshold: milliseconds from which on one is slow; -1: none is
extern int slow_query_entries;   // whitecross.slow_query_entries: how many are kept
extern bool log_slow_queries;    // whitecross.log_slow_queries: a line in the server's log for each
extern int n_plus_one_threshold; // whitecross.n_plus_one_threshold: executions in a window that are no burst; 0: off
extern int n_plus_one_window;    // whitecross.n_plus_one_window: milliseconds

// whitecross.n_plus_one_allowed: query ids that are left out.
constexpr int n_plus_one_allowed_most = 100;
extern int64_t n_plus_one_allowed_ids[n_plus_one_allowed_most];
extern int n_plus_one_allowed_count;

extern bool track_queries;  // whitecross.track_queries: statements are counted, and watched for what is slow
extern bool track_nested;   // whitecross.track_nested: also those that functions and triggers run
extern int query_stats_max; // whitecross.query_stats_max: statement patterns that are kept
extern int query_text_size; // whitecross.query_text_size: bytes of a normalised text that are kept

extern int monitor_interval;     // whitecross.monitor_interval: seconds between two samples of connections
extern char *pgbouncer_conninfo; // whitecross.pgbouncer_conninfo: of PgBouncer's console; empty: there is none
extern int pgbouncer_timeout;    // whitecross.pgbouncer_timeout: milliseconds that it may take to answer

extern int health_interval; // whitecross.health_interval: milliseconds between two checks of a database; 0: none
extern int health_timeout;  // whitecross.health_timeout: milliseconds that a check may take

// Defines them and reserves the prefix. Called once, by _PG_init.
void define();

} // namespace wc::pg::settings
