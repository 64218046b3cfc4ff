// The memory of refreshes: wc_refresh_log and wc_view_state.
#include "refresh/record.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/worker.hpp"

namespace wc::refresh {

namespace {

// Rows of the log that one refresh takes away at most: the rest goes with the next ones.
constexpr const char *prune_limit = "1000";

std::string timestamp(TimestampTz at) {
    return pg::call([=] { return timestamptz_to_str(at); }); // ISO, whatever DateStyle is
}

pg::Text number(const std::optional<int64_t> &value) {
    if (!value)
        return {};
    return std::to_string(*value);
}

pg::Text nonempty(const std::string &text) {
    if (text.empty())
        return {};
    return text;
}

// Adds the log's rows that aren't counted yet to the view's counters. Needs the lock on the view's row of the state.
void count_attempts(pg::Spi &spi, const std::string &schema, const std::string &view) {
    spi.query("WITH counted AS (UPDATE " + schema +
                  ".wc_refresh_log SET counted = true WHERE view_name = $1 AND NOT counted RETURNING status) "
                  "UPDATE " +
                  schema +
                  ".wc_view_state SET "
                  "refreshes = refreshes + (SELECT count(*) FROM counted WHERE status = 'refreshed'), "
                  "failures = failures + (SELECT count(*) FROM counted WHERE status = 'failed') "
                  "WHERE view_name = $1",
              {view});
}

} // namespace

void record(const Job &job, const Outcome &outcome, TimestampTz started, const Traces &traces) {
    const pg::ActiveSnapshot snapshot;
    pg::Spi spi;
    const std::string schema = pg::quote_name(pg::extension_schema());
    const pg::Text mode = outcome.mode ? pg::Text(core::name(*outcome.mode)) : pg::Text();
    const pg::Text state = outcome.sqlstate != 0 ? pg::Text(pg::sqlstate_text(outcome.sqlstate)) : pg::Text();
    const std::string duration = std::to_string(outcome.duration_ms);
    spi.query("INSERT INTO " + schema +
                  ".wc_refresh_log (view_name, mode, status, origin, in_worker, rows_written, row_count, started_at, "
                  "finished_at, duration_ms, sqlstate, message) "
                  "VALUES ($1, $2, $3, $4, $5::bool, $6::int8, $7::int8, $8::timestamptz, "
                  "clock_timestamp(), $9::float8, $10, $11)",
              {job.view, mode, name(outcome.status), name(job.origin), job.in_worker ? "true" : "false",
               number(outcome.rows_written), number(outcome.row_count), timestamp(started), duration, state,
               nonempty(outcome.message)});

    // A snapshot of the whole transaction can't see, and so can't count or prune, what others have logged since.
    const bool current = !IsolationUsesXactSnapshot();
    if (outcome.status == Outcome::Status::Refreshed) {
        spi.query("INSERT INTO " + schema +
                      ".wc_view_state AS s (view_name, last_refresh, last_duration_ms, last_mode, "
                      "last_rows_written, row_count, relfilenode) "
                      "VALUES ($1, $2::timestamptz, $3::float8, $4, $5::int8, $6::int8, $7::oid) "
                      "ON CONFLICT (view_name) DO UPDATE SET last_refresh = excluded.last_refresh, "
                      "last_duration_ms = excluded.last_duration_ms, last_mode = excluded.last_mode, "
                      "last_rows_written = excluded.last_rows_written, row_count = excluded.row_count, "
                      "relfilenode = excluded.relfilenode",
                  {job.view, timestamp(traces.snapshot_at), duration, mode, number(outcome.rows_written),
                   number(outcome.row_count), traces.filenode});
        if (current)
            count_attempts(spi, schema, job.view);
    } else if (current && outcome.status == Outcome::Status::Failed) {
        // Another session's refresh of this view may hold its row, a new one even, until that transaction ends: then
        // the next attempt counts this one.
        const auto failure = pg::attempt([&] {
            spi.query("INSERT INTO " + schema + ".wc_view_state (view_name) VALUES ($1) ON CONFLICT DO NOTHING",
                      {job.view});
            if (spi.value("SELECT view_name FROM " + schema +
                              ".wc_view_state WHERE view_name = $1 FOR UPDATE SKIP LOCKED",
                          {job.view}))
                count_attempts(spi, schema, job.view);
        });
        if (failure && failure->sqlstate() != ERRCODE_LOCK_NOT_AVAILABLE)
            throw *failure;
    }
    if (current)
        spi.query("DELETE FROM " + schema + ".wc_refresh_log WHERE id IN (SELECT id FROM " + schema +
                      ".wc_refresh_log WHERE started_at < now() - make_interval(days => $1::int4) "
                      "ORDER BY started_at LIMIT $2::int8 FOR UPDATE SKIP LOCKED)",
                  {std::to_string(pg::settings::refresh_log_days), prune_limit});
}

std::map<std::string, double> last_durations() {
    pg::Spi spi;
    const std::string schema = pg::quote_name(pg::extension_schema());
    const auto result = spi.query("SELECT view_name, last_duration_ms FROM " + schema +
                                  ".wc_view_state WHERE last_duration_ms IS NOT NULL");
    std::map<std::string, double> durations;
    for (const auto &row : result.rows)
        durations.emplace(*row[0], std::stod(*row[1]));
    return durations;
}

} // namespace wc::refresh
