// The memory of refreshes: wc_refresh_log and wc_view_state.
#include "refresh/record.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "pg/worker.hpp"
#include "refresh/moment.hpp"

#include <algorithm>

namespace wc::refresh {

namespace {

// Rows of the log that one refresh takes away at most: the rest goes with the next ones.
constexpr const char *prune_limit = "1000";

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

// name value, name value, ... as jsonb_object takes them.
pg::Text marks_text(const std::optional<Marks> &marks) {
    if (!marks)
        return {};
    std::string text;
    for (const auto &[name, value] : *marks)
        text += (text.empty() ? "" : "\n") + name + "\n" + value;
    return text;
}

Marks parse_marks(const std::string &text) {
    Marks marks;
    for (size_t at = 0; at < text.size();) {
        const size_t middle = text.find('\n', at);
        const size_t end = std::min(text.find('\n', middle + 1), text.size());
        marks[text.substr(at, middle - at)] = text.substr(middle + 1, end - middle - 1);
        at = end + 1;
    }
    return marks;
}

// What a database at 1.0.0 has no columns for.
void record_traces(pg::Spi &spi, const std::string &schema, const Job &job, const Outcome &outcome,
                   const Traces &traces) {
    const bool usable = !traces.plan || traces.plan->problem.empty();
    spi.query("UPDATE " + schema +
                  ".wc_view_state SET clock = $2::timestamptz, consumed = $3::pg_snapshot, last_keys = $4::int8, "
                  "last_reason = $5 WHERE view_name = $1",
              {job.view, traces.clock, usable ? pg::Text(traces.consumed) : pg::Text(), number(outcome.keys),
               nonempty(outcome.reason)});
    if (traces.marks)
        spi.query("UPDATE " + schema +
                      ".wc_view_state SET trust = pg_catalog.jsonb_object(pg_catalog.string_to_array($2, E'\\n')) "
                      "WHERE view_name = $1",
                  {job.view, marks_text(traces.marks)});
    if (traces.plan)
        spi.query("UPDATE " + schema +
                      ".wc_view_state SET plan = pg_catalog.jsonb_build_object('problem', $2, 'tables', $3, "
                      "'whole_tables', $4, 'key_columns', $5::int4, 'keys', $6, 'difference', $7, 'next_moment', $8) "
                      "WHERE view_name = $1",
                  {job.view, traces.plan->problem, traces.plan->tables, traces.plan->whole_tables,
                   std::to_string(traces.plan->key_columns), traces.plan->keys, traces.plan->difference,
                   traces.plan->next_moment});
}

// Live mode would fill the log with what is its everyday: that stands in the view's state only.
bool passes_unlogged(const Job &job, const Outcome &outcome) {
    return job.origin == Origin::Live &&
           (outcome.status == Outcome::Status::Skipped ||
            (outcome.status == Outcome::Status::Refreshed && outcome.mode == core::Mode::Incremental));
}

} // namespace

bool has_change_log() {
    return OidIsValid(pg::find_relation(pg::extension_schema(), "wc_change"));
}

void record(const Job &job, const Outcome &outcome, TimestampTz started, const Traces &traces) {
    const pg::ActiveSnapshot snapshot;
    pg::Spi spi;
    const std::string schema = pg::quote_name(pg::extension_schema());
    const pg::Text mode = outcome.mode ? pg::Text(core::name(*outcome.mode)) : pg::Text();
    const pg::Text state = outcome.sqlstate != 0 ? pg::Text(pg::sqlstate_text(outcome.sqlstate)) : pg::Text();
    const std::string duration = std::to_string(outcome.duration_ms);
    const bool logged = has_change_log();
    std::vector<pg::Text> values = {job.view,
                                    mode,
                                    name(outcome.status),
                                    name(job.origin),
                                    job.in_worker ? "true" : "false",
                                    number(outcome.rows_written),
                                    number(outcome.row_count),
                                    timestamp_text(started),
                                    duration,
                                    state,
                                    nonempty(outcome.message)};
    if (logged) {
        values.push_back(number(outcome.keys));
        values.push_back(nonempty(outcome.reason));
    }
    if (!passes_unlogged(job, outcome))
        spi.query(
            "INSERT INTO " + schema +
                ".wc_refresh_log (view_name, mode, status, origin, in_worker, rows_written, row_count, started_at, "
                "finished_at, duration_ms, sqlstate, message" +
                (logged ? ", keys_refreshed, reason" : "") +
                ") VALUES ($1, $2, $3, $4, $5::bool, $6::int8, $7::int8, $8::timestamptz, "
                "clock_timestamp(), $9::float8, $10, $11" +
                (logged ? ", $12::int8, $13" : "") + ")",
            values);

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
                  {job.view, timestamp_text(traces.snapshot_at), duration, mode, number(outcome.rows_written),
                   number(outcome.row_count), traces.filenode});
        if (logged)
            record_traces(spi, schema, job, outcome, traces);
        if (passes_unlogged(job, outcome))
            spi.query("UPDATE " + schema + ".wc_view_state SET refreshes = refreshes + 1 WHERE view_name = $1",
                      {job.view});
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

std::optional<Recorded> recall(pg::Spi &spi, const std::string &view, const std::string &clock) {
    const auto rows =
        spi.read("SELECT s.clock, s.consumed, s.clock > $2::timestamptz, s.row_count, "
                 "(SELECT pg_catalog.string_agg(m.key || E'\\n' || m.value, E'\\n') "
                 "   FROM pg_catalog.jsonb_each_text(s.trust) AS m), "
                 "p.problem, p.tables, p.whole_tables, p.key_columns, p.keys, p.difference, p.next_moment "
                 "FROM " +
                     pg::quote_name(pg::extension_schema()) +
                     ".wc_view_state AS s, pg_catalog.jsonb_to_record(s.plan) AS p(problem text, tables text, "
                     "whole_tables text, key_columns text, keys text, difference text, next_moment text) "
                     "WHERE s.view_name = $1 AND s.clock IS NOT NULL",
                 {view, clock})
            .rows;
    if (rows.empty())
        return {};
    const pg::Row &row = rows.front();
    Recorded out;
    out.clock = *row[0];
    out.consumed = row[1].value_or("");
    out.ahead = row[2] == "t";
    out.row_count = row[3] ? std::stoll(*row[3]) : 0;
    out.marks = parse_marks(row[4].value_or(""));
    out.plan.problem = row[5].value_or("");
    out.plan.tables = row[6].value_or("");
    out.plan.whole_tables = row[7].value_or("");
    out.plan.key_columns = std::stoi(row[8].value_or("0"));
    out.plan.keys = row[9].value_or("");
    out.plan.difference = row[10].value_or("");
    out.plan.next_moment = row[11].value_or("");
    return out;
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
