// Every setting of the extension.
#include "pg/guc.hpp"

#include "pg/conninfo.hpp"
#include "pg/guard.hpp"
#include "pg/guc_alerts.hpp"
#include "pg/guc_cache.hpp"
#include "pg/guc_redis.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace wc::pg::settings {

int lock_timeout = 5000;
int max_refresh_workers = 2;
int refresh_log_days = 30;
int change_log_limit = 1000000;
bool install_on_create = true;
bool live_refresh = false;
int live_refresh_delay = 200;
char *now = nullptr;
int violations_max = 500;
int violations_warning = 10;
int violations_critical = 50;
int query_history_days = 30;
int query_history_clock_offset = 0;
bool track_queries = true;
bool track_nested = false;
int query_stats_max = 1000;
int query_text_size = 4096;
int slow_query_threshold = 500;
int slow_query_entries = 100;
bool log_slow_queries = false;
int n_plus_one_threshold = 10;
int n_plus_one_window = 1000;
int64_t n_plus_one_allowed_ids[n_plus_one_allowed_most];
int n_plus_one_allowed_count = 0;
int monitor_interval = 30;
int health_interval = 60000;
int health_timeout = 5000;
char *pgbouncer_conninfo = nullptr;
int pgbouncer_timeout = 5000;

namespace {

char *n_plus_one_allowed = nullptr;

// What wc_apply_session_limits() notes with a role; only SQL reads it, and from the catalogue.
char *session_limits = nullptr;

// The query ids of a list, separated by commas or blanks: how many, -1 where something else is in it, -2 for too many.
int query_ids(const char *list, int64_t (&ids)[n_plus_one_allowed_most]) {
    const char *const end = list + strlen(list);
    int count = 0;
    for (const char *at = list;;) {
        at += strspn(at, ", \t\n");
        if (at == end)
            return count;
        if (count == n_plus_one_allowed_most)
            return -2;
        const auto [behind, error] = std::from_chars(at, end, ids[count++]);
        if (error != std::errc() || (behind != end && strchr(", \t\n", *behind) == nullptr))
            return -1;
        at = behind;
    }
}

bool check_allowed(char **value, void **, GucSource) {
    int64_t ids[n_plus_one_allowed_most];
    const int count = query_ids(*value != nullptr ? *value : "", ids);
    if (count == -1)
        GUC_check_errdetail("The value must be a list of query ids, which are whole numbers, separated by commas.");
    if (count == -2)
        GUC_check_errdetail("At most %d query ids can be allowed.", n_plus_one_allowed_most);
    return count >= 0;
}

void assign_allowed(const char *value, void *) {
    n_plus_one_allowed_count = std::max(0, query_ids(value != nullptr ? value : "", n_plus_one_allowed_ids));
}

// The clock must be a timestamp: a view that casts it would fail long after the SET.
bool check_now(char **value, void **, GucSource) {
    if (*value == nullptr || **value == '\0' || !IsTransactionState())
        return true;
    const char *text = *value;
    bool valid = true;
    try {
        call([=] {
            (void)DirectFunctionCall3(timestamptz_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
                                      Int32GetDatum(-1));
        });
    } catch (const Error &) {
        valid = false;
    } catch (...) {
        valid = false;
    }
    if (!valid)
        GUC_check_errdetail("The value must be a timestamp with time zone, or empty for the real time.");
    return valid;
}

// The message is ours because the server's own quotes the value.
bool check_conninfo(char **value, void **, GucSource) {
    const char *const objection = conninfo_objection(*value);
    if (objection != nullptr) {
        GUC_check_errmsg("invalid value for parameter \"whitecross.pgbouncer_conninfo\"");
        GUC_check_errdetail("%s", objection);
    }
    return objection == nullptr;
}

// What the server needs at its start: a session that loads the library later can't define these, and has no use for
// them.
void define_at_start() {
    DefineCustomIntVariable("whitecross.query_stats_max", "Statement patterns whose statistics are kept.",
                            "Where there are more, the least called ones are given up.", &query_stats_max, 1000, 100,
                            100000, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.query_text_size", "Bytes of a normalised text that are kept.", nullptr,
                            &query_text_size, 4096, 256, 65536, PGC_POSTMASTER, GUC_UNIT_BYTE, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("whitecross.slow_query_entries", "Slow statements that are remembered.", nullptr,
                            &slow_query_entries, 100, 1, 10000, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.violations_max", "Constraints whose violations are counted.",
                            "Of all databases, and one more for each of them. Another one takes the place of the "
                            "one that was longest not violated.",
                            &violations_max, 500, 16, 10000, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
}

} // namespace

void define() {
    if (process_shared_preload_libraries_in_progress)
        define_at_start();
    DefineCustomBoolVariable("whitecross.track_queries", "Statements are counted, and watched for what is slow.",
                             "Needs the library in shared_preload_libraries.", &track_queries, true, PGC_SUSET, 0,
                             nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("whitecross.track_nested", "So are those that functions and triggers run.", nullptr,
                             &track_nested, false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.lock_timeout", "How long an operation waits for a lock.",
                            "What waits longer is reported as pending or failed. 0 waits without limit.", &lock_timeout,
                            5000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.max_refresh_workers", "Background workers that one refresh uses at once.",
                            "0 refreshes in the calling session.", &max_refresh_workers, 2, 0, 1024, PGC_USERSET, 0,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.refresh_log_days", "Days that the refresh log is kept.", nullptr,
                            &refresh_log_days, 30, 1, 36500, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.change_log_limit", "Rows that the change log may have.",
                            "A view that so many changes are pending for is computed as a whole the next time.",
                            &change_log_limit, 1000000, 100, INT_MAX, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("whitecross.install_on_create", "CREATE EXTENSION installs the managed objects.",
                             "Off lets a live site call wc_install() at a quiet time.", &install_on_create, true,
                             PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("whitecross.now", "The clock of the materialized views.",
                               "A timestamp with time zone; empty for the real time. For tests and demonstrations.",
                               &now, "", PGC_SUSET, 0, check_now, nullptr, nullptr);
    DefineCustomBoolVariable("whitecross.live_refresh",
                             "A background worker refreshes what changes as it is committed.",
                             "Of a database, or of all: what a session sets has no effect. Needs the library in "
                             "shared_preload_libraries.",
                             &live_refresh, false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.live_refresh_delay", "The least time between two rounds of live refreshes.",
                            "What is committed meanwhile is refreshed together.", &live_refresh_delay, 200, 0, 60000,
                            PGC_SUSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.query_history_days", "Days that the query history is kept.", nullptr,
                            &query_history_days, 30, 1, 3650, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.query_history_clock_offset",
                            "Seconds by which the clock of the histories is ahead of the server's.",
                            "For tests and demonstrations, which can't wait for an hour to end.",
                            &query_history_clock_offset, 0, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S | GUC_NOT_IN_SAMPLE,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.violations_warning",
                            "Violations of a constraint in an hour beyond which its level is warning.",
                            "For the sum of all constraints too.", &violations_warning, 10, 0, INT_MAX, PGC_SUSET, 0,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.violations_critical",
                            "Violations of a constraint in an hour beyond which its level is critical.",
                            "For the sum of all constraints too.", &violations_critical, 50, 0, INT_MAX, PGC_SUSET, 0,
                            nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.slow_query_threshold", "How long a statement runs to be called slow.",
                            "wc_slow_queries shows the last ones. 0 takes every statement, -1 none.",
                            &slow_query_threshold, 500, -1, INT_MAX, PGC_SUSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("whitecross.log_slow_queries", "Writes a line to the log for each slow statement.",
                             "With its normalised text, in which no value is.", &log_slow_queries, false, PGC_SUSET, 0,
                             nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.n_plus_one_threshold",
                            "Executions of one statement in a window beyond which they are called a loop.",
                            "0 looks for none.", &n_plus_one_threshold, 10, 0, 1000, PGC_SIGHUP, 0, nullptr, nullptr,
                            nullptr);
    DefineCustomIntVariable("whitecross.n_plus_one_window", "The window in which executions of one statement count.",
                            nullptr, &n_plus_one_window, 1000, 10, 3600000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr,
                            nullptr);
    DefineCustomStringVariable("whitecross.n_plus_one_allowed", "Query ids that may be repeated in a loop.",
                               "A list, separated by commas; wc_n_plus_one leaves them out.", &n_plus_one_allowed, "",
                               PGC_SUSET, 0, check_allowed, assign_allowed, nullptr);
    DefineCustomStringVariable("whitecross.session_limits",
                               "What wc_apply_session_limits() has set for a role, and what was there before.",
                               "A note of its own: it has no effect on a session.", &session_limits, "", PGC_USERSET,
                               GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.monitor_interval", "The time between two samples of the server's connections.",
                            "And of the pooler's.", &monitor_interval, 30, 1, 3600, PGC_SIGHUP, GUC_UNIT_S, nullptr,
                            nullptr, nullptr);
    DefineCustomStringVariable("whitecross.pgbouncer_conninfo", "How the monitor connects to PgBouncer's console.",
                               "A connection string without a password; empty where there is no PgBouncer.",
                               &pgbouncer_conninfo, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_conninfo, nullptr,
                               nullptr);
    DefineCustomIntVariable("whitecross.pgbouncer_timeout", "How long PgBouncer may take to answer.",
                            "To let the monitor connect, and then for each time that it asks.", &pgbouncer_timeout,
                            5000, 100, 600000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    alert::define();
    cache::define();
    redis::define();
    DefineCustomIntVariable("whitecross.health_interval", "The time between two health checks of a database.",
                            "Of each one that has the extension. 0 checks none.", &health_interval, 60000, 0, 86400000,
                            PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.health_timeout", "The time that a health check may take.",
                            "One that takes longer has failed.", &health_timeout, 5000, 100, 60000, PGC_SIGHUP,
                            GUC_UNIT_MS, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("whitecross");
}

} // namespace wc::pg::settings
