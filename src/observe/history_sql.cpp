// SQL-visible functions of the query history and of baselines: thin, no logic.
#include "observe/baseline.hpp"
#include "observe/encoding.hpp"
#include "observe/history.hpp"
#include "observe/observe.hpp"

#include "pg/function.hpp"
#include "pg/transaction.hpp"
#include "refresh/moment.hpp"

extern "C" {
#include "commands/dbcommands.h"
}

#include <algorithm>

using namespace wc;
namespace history = wc::observe::history;
namespace baseline = wc::observe::baseline;

namespace {

pg::Text moment(TimestampTz at) {
    if (at == 0)
        return {};
    return refresh::timestamp_text(at);
}

pg::Text code(int sqlstate) {
    return sqlstate != 0 ? pg::Text(pg::sqlstate_text(sqlstate)) : pg::Text();
}

pg::Text hour(const std::optional<int64> &number) {
    if (!number)
        return {};
    return refresh::timestamp_text(observe::start_of_hour(*number));
}

// As wc_query_stats has it.
pg::Text text_of(const history::Row &row) {
    if (row.pattern != nullptr && row.pattern->query_id == 0)
        return "not identified";
    if (row.text == nullptr)
        return {};
    return observe::in_database_encoding(row.text->bytes, row.text->encoding);
}

std::string milliseconds(double nanoseconds) {
    return std::to_string(nanoseconds / 1e6);
}

// Names of databases and roles, looked up once each; empty: dropped since.
class Names {
  public:
    const pg::Text &database(Oid oid) {
        return look_up(databases_, oid, [=] { return get_database_name(oid); });
    }
    const pg::Text &role(Oid oid) {
        return look_up(roles_, oid, [=] { return GetUserNameFromId(oid, true); });
    }

  private:
    template <typename Lookup> static const pg::Text &look_up(std::map<Oid, pg::Text> &known, Oid oid, Lookup lookup) {
        const auto [place, is_new] = known.try_emplace(oid);
        if (is_new)
            if (const char *const name = pg::call(lookup); name != nullptr)
                place->second = name;
        return place->second;
    }
    std::map<Oid, pg::Text> databases_;
    std::map<Oid, pg::Text> roles_;
};

} // namespace

// wc_query_history(since timestamptz) -> hour, database, role, query_id, normalised_text, calls, total_ms, mean_ms,
// max_ms, rows: a row for each pattern and hour, from the hour of that moment on, or all that is kept. Errors: 55000
// not preloaded.
WC_FUNCTION(wc_query_history) {
    observe::require_preloaded();
    int64 from = history::oldest_hour();
    if (!PG_ARGISNULL(0))
        from = std::max(from, PG_GETARG_TIMESTAMPTZ(0) / USECS_PER_HOUR);
    const observe::Viewer viewer;
    Names names;
    pg::ResultSet result(fcinfo);
    history::read(
        from, [&](Oid role) { return viewer.sees(role); },
        [&](const history::Row &row) {
            const auto &totals = row.totals;
            const auto *const pattern = row.pattern;
            const auto total = static_cast<double>(totals.total_ns);
            result.add(
                {hour(row.hour), pattern != nullptr ? names.database(pattern->database) : pg::Text(),
                 pattern != nullptr ? names.role(pattern->role) : pg::Text(),
                 pattern != nullptr ? pg::Text(std::to_string(static_cast<int64>(pattern->query_id))) : pg::Text(),
                 text_of(row), std::to_string(totals.calls), milliseconds(total),
                 milliseconds(total / static_cast<double>(std::max<uint64>(totals.calls, 1))),
                 milliseconds(static_cast<double>(totals.max_ns)), std::to_string(totals.rows)});
        });
    return result.done();
}

// wc_query_history_outcome() -> monitored, written_at, sqlstate, unusable: one row, of shared memory alone. Errors:
// 55000 not preloaded.
WC_FUNCTION(wc_query_history_outcome) {
    observe::require_preloaded();
    const auto outcome = history::outcome();
    pg::ResultSet result(fcinfo);
    result.add({outcome.monitored ? "true" : "false", moment(outcome.written_at), code(outcome.sqlstate),
                std::to_string(outcome.unusable)});
    return result.done();
}

// wc_query_history_status() -> monitored, written_at, sqlstate, files, unusable, size_bytes, first_hour, last_hour: one
// row. Errors: 55000 not preloaded.
WC_FUNCTION(wc_query_history_status) {
    observe::require_preloaded();
    const auto outcome = history::outcome();
    const auto status = history::status();
    pg::ResultSet result(fcinfo);
    result.add({outcome.monitored ? "true" : "false", moment(outcome.written_at), code(outcome.sqlstate),
                std::to_string(status.files), std::to_string(status.unusable), std::to_string(status.size_bytes),
                hour(status.first_hour), hour(status.last_hour)});
    return result.done();
}

// wc_query_baseline(name text) -> bigint, the number of patterns kept. Errors: 55000 not preloaded, 25006 standby or
// read-only transaction, 22004, 22023 empty name, 42710 there is one of that name.
WC_FUNCTION(wc_query_baseline) {
    observe::require_preloaded();
    pg::require_writable("wc_query_baseline()");
    const std::string name = pg::required_text(fcinfo, 0, "name");
    pg::Spi spi;
    PG_RETURN_INT64(baseline::take(spi, name));
}

// wc_drop_baseline(name text) -> bigint, the number of patterns that it had. Errors: 25006, 22004, 42704 unknown.
WC_FUNCTION(wc_drop_baseline) {
    pg::require_writable("wc_drop_baseline()");
    const std::string name = pg::required_text(fcinfo, 0, "name");
    pg::Spi spi;
    PG_RETURN_INT64(baseline::drop(spi, name));
}

// wc_compare_baseline(name text) -> database, role, query_id, normalised_text, calls_before, calls_since,
// mean_before_ms, mean_since_ms, ratio, verdict. Errors: 55000 not preloaded, 22004, 42704 unknown.
WC_FUNCTION(wc_compare_baseline) {
    observe::require_preloaded();
    const std::string name = pg::required_text(fcinfo, 0, "name");
    std::vector<pg::Row> rows;
    {
        pg::Spi spi;
        rows = baseline::compare(spi, name);
    }
    pg::ResultSet result(fcinfo);
    for (const auto &row : rows)
        result.add(row);
    return result.done();
}
