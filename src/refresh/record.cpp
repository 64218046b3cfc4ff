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

// An INSERT of texts, each cast to the type of its column.
class Insert {
  public:
    void add(const char *column, const char *type, pg::Text value) {
        columns += (columns.empty() ? "" : ", ") + std::string(column);
        values += (values.empty() ? "$" : ", $") + std::to_string(first_ + parameters.size()) + "::" + type;
        parameters.push_back(std::move(value));
    }
    // first: the number of its first parameter
    explicit Insert(size_t first) : first_(first) {}

    std::string columns;
    std::string values;
    std::vector<pg::Text> parameters;

  private:
    size_t first_;
};

// A row of the log. counted: the statement that writes it counts it too.
Insert log_row(const Job &job, const Outcome &outcome, TimestampTz started, bool logged, bool counted) {
    Insert row(1);
    row.add("view_name", "text", job.view);
    row.add("mode", "text", outcome.mode ? pg::Text(core::name(*outcome.mode)) : pg::Text());
    row.add("status", "text", name(outcome.status));
    row.add("origin", "text", name(job.origin));
    row.add("in_worker", "bool", job.in_worker ? "true" : "false");
    row.add("rows_written", "int8", number(outcome.rows_written));
    row.add("row_count", "int8", number(outcome.row_count));
    row.add("started_at", "timestamptz", timestamp_text(started));
    row.add("finished_at", "timestamptz", timestamp_text(GetCurrentTimestamp()));
    row.add("duration_ms", "float8", std::to_string(outcome.duration_ms));
    row.add("sqlstate", "text", outcome.sqlstate != 0 ? pg::Text(pg::sqlstate_text(outcome.sqlstate)) : pg::Text());
    row.add("message", "text", nonempty(outcome.message));
    row.add("counted", "bool", counted ? "true" : "false");
    if (logged) { // a database at 1.0.0 has no columns for it
        row.add("keys_refreshed", "int8", number(outcome.keys));
        row.add("reason", "text", nonempty(outcome.reason));
    }
    return row;
}

// The state that a successful refresh leaves.
Insert state_row(size_t first, const Job &job, const Outcome &outcome, bool logged, const Traces &traces) {
    Insert row(first);
    row.add("view_name", "text", job.view);
    row.add("last_refresh", "timestamptz", timestamp_text(traces.snapshot_at));
    row.add("last_duration_ms", "float8", std::to_string(outcome.duration_ms));
    row.add("last_mode", "text", std::string(core::name(*outcome.mode)));
    row.add("last_rows_written", "int8", number(outcome.rows_written));
    row.add("row_count", "int8", number(outcome.row_count));
    row.add("relfilenode", "oid", std::to_string(traces.filenode));
    if (!logged)
        return row;
    const bool usable = !traces.plan || traces.plan->problem.empty();
    // The snapshot of a whole transaction may be older than the triggers that the transaction has made. What was
    // committed between them is neither in the view nor in the log, so this refresh is none to go on from.
    const bool complete = !IsolationUsesXactSnapshot();
    row.add("clock", "timestamptz", complete ? pg::Text(traces.clock) : pg::Text());
    row.add("consumed", "pg_snapshot", usable && complete ? pg::Text(traces.consumed) : pg::Text());
    row.add("last_keys", "int8", number(outcome.keys));
    row.add("last_reason", "text", nonempty(outcome.reason));
    row.add("last_origin", "text", name(job.origin));
    return row;
}

// Live mode would fill the log with what is its everyday: that stands in the view's state only.
bool passes_unlogged(const Job &job, const Outcome &outcome) {
    return job.origin == Origin::Live &&
           (outcome.status == Outcome::Status::Skipped ||
            (outcome.status == Outcome::Status::Refreshed && outcome.mode == core::Mode::Incremental));
}

// Everything a successful refresh leaves, in one statement: its row of the log, the state, and the counters with what
// is not counted yet.
void record_success(pg::Spi &spi, const std::string &schema, const Job &job, const Outcome &outcome,
                    TimestampTz started, const Traces &traces, bool logged) {
    std::string with;
    std::vector<pg::Text> parameters;
    if (!passes_unlogged(job, outcome)) {
        const Insert log = log_row(job, outcome, started, logged, true);
        with =
            "logged AS (INSERT INTO " + schema + ".wc_refresh_log (" + log.columns + ") VALUES (" + log.values + ")), ";
        parameters = log.parameters;
    }
    const Insert state = state_row(parameters.size() + 1, job, outcome, logged, traces);
    std::string set;
    for (size_t at = 0; at < state.columns.size();) {
        const size_t end = std::min(state.columns.find(", ", at), state.columns.size());
        const std::string column = state.columns.substr(at, end - at);
        set += column + " = excluded." + column + ", ";
        at = end + 2;
    }
    const std::string view = "$" + std::to_string(parameters.size() + 1);
    parameters.insert(parameters.end(), state.parameters.begin(), state.parameters.end());
    const auto parameter = [&](pg::Text value) {
        parameters.push_back(std::move(value));
        return "$" + std::to_string(parameters.size());
    };
    std::string columns;
    std::string values;
    if (traces.marks) {
        columns += ", trust";
        values += ", pg_catalog.jsonb_object(pg_catalog.string_to_array(" + parameter(marks_text(traces.marks)) +
                  ", E'\\n'))";
        set += "trust = excluded.trust, ";
    }
    if (traces.plan) {
        const Plan &plan = *traces.plan;
        columns += ", plan";
        values += ", pg_catalog.jsonb_build_object('problem', " + parameter(plan.problem) + ", 'tables', " +
                  parameter(plan.tables) + ", 'whole_tables', " + parameter(plan.whole_tables) + ", 'untried', " +
                  parameter(plan.untried ? "true" : "false") + "::bool, 'key_columns', " +
                  parameter(std::to_string(plan.key_columns)) + "::int4, 'keys', " + parameter(plan.keys) +
                  ", 'difference', " + parameter(plan.difference) + ", 'next_moment', " + parameter(plan.next_moment) +
                  ")";
        set += "plan = excluded.plan, ";
    }
    spi.query("WITH " + with + "counted AS (UPDATE " + schema +
                  ".wc_refresh_log SET counted = true WHERE view_name = " + view +
                  " AND NOT counted RETURNING status) INSERT INTO " + schema + ".wc_view_state AS s (" + state.columns +
                  columns + ", refreshes, failures) VALUES (" + state.values + values +
                  ", 1 + (SELECT count(*) FROM counted WHERE status = 'refreshed'),"
                  " (SELECT count(*) FROM counted WHERE status = 'failed'))"
                  " ON CONFLICT (view_name) DO UPDATE SET " +
                  set + "refreshes = s.refreshes + excluded.refreshes, failures = s.failures + excluded.failures",
              parameters, pg::Planned::Kept);
}

// A failed or skipped attempt.
void record_failure(pg::Spi &spi, const std::string &schema, const Job &job, const Outcome &outcome,
                    TimestampTz started, bool logged) {
    if (passes_unlogged(job, outcome))
        return;
    const Insert log = log_row(job, outcome, started, logged, false);
    spi.query("INSERT INTO " + schema + ".wc_refresh_log (" + log.columns + ") VALUES (" + log.values + ")",
              log.parameters);
    // A snapshot of the whole transaction can't see, and so can't count, what others have logged since.
    if (IsolationUsesXactSnapshot() || outcome.status != Outcome::Status::Failed)
        return;
    // Another session's refresh of this view may hold its row, a new one even, until that transaction ends: then the
    // next attempt counts this one.
    const auto failure = pg::attempt([&] {
        spi.query("INSERT INTO " + schema + ".wc_view_state (view_name) VALUES ($1) ON CONFLICT DO NOTHING",
                  {job.view});
        if (spi.value("SELECT view_name FROM " + schema + ".wc_view_state WHERE view_name = $1 FOR UPDATE SKIP LOCKED",
                      {job.view}))
            count_attempts(spi, schema, job.view);
    });
    if (failure && failure->sqlstate() != ERRCODE_LOCK_NOT_AVAILABLE)
        throw *failure;
}

void prune_log(pg::Spi &spi, const std::string &schema) {
    spi.query("DELETE FROM " + schema + ".wc_refresh_log WHERE id IN (SELECT id FROM " + schema +
                  ".wc_refresh_log WHERE started_at < now() - make_interval(days => $1::int4) "
                  "ORDER BY started_at LIMIT $2::int8 FOR UPDATE SKIP LOCKED)",
              {std::to_string(pg::settings::refresh_log_days), prune_limit});
}

// A session that refreshes again and again need not look for old rows each time.
bool time_to_prune(const Outcome &outcome) {
    static TimestampTz pruned_at = 0;
    const TimestampTz now = GetCurrentTimestamp();
    if (outcome.mode == core::Mode::Incremental && !TimestampDifferenceExceeds(pruned_at, now, 60000))
        return false;
    pruned_at = now;
    return true;
}

} // namespace

bool has_change_log() {
    return OidIsValid(pg::find_relation(pg::extension_schema(), "wc_change"));
}

void record(const Job &job, const Outcome &outcome, TimestampTz started, const Traces &traces) {
    const pg::ActiveSnapshot snapshot;
    pg::Spi spi;
    const std::string schema = pg::quote_name(pg::extension_schema());
    const bool logged = has_change_log();
    if (outcome.status == Outcome::Status::Refreshed)
        record_success(spi, schema, job, outcome, started, traces, logged);
    else
        record_failure(spi, schema, job, outcome, started, logged);
    if (!IsolationUsesXactSnapshot() && time_to_prune(outcome))
        prune_log(spi, schema);
}

std::optional<Recorded> recall(pg::Spi &spi, const std::string &view, const std::string &clock) {
    const auto rows =
        spi.read("SELECT s.clock, s.consumed, s.clock > $2::timestamptz, s.row_count, "
                 "(SELECT pg_catalog.string_agg(m.key || E'\\n' || m.value, E'\\n') "
                 "   FROM pg_catalog.jsonb_each_text(s.trust) AS m), "
                 "p.problem, p.tables, p.whole_tables, p.key_columns, p.keys, p.difference, p.next_moment, p.untried "
                 "FROM " +
                     pg::quote_name(pg::extension_schema()) +
                     ".wc_view_state AS s, pg_catalog.jsonb_to_record(s.plan) AS p(problem text, tables text, "
                     "whole_tables text, key_columns text, keys text, difference text, next_moment text, untried text) "
                     "WHERE s.view_name = $1 AND s.clock IS NOT NULL",
                 {view, clock}, pg::Planned::Kept)
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
    out.plan.untried = row[12] == "true";
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
