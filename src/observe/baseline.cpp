// Named copies of the statistics of statement patterns.
//
// The functions over this run with the rights of the extension's owner, who may see the statements of all roles; what
// the caller may see is what the role of the session may, SET ROLE included.
#include "observe/baseline.hpp"

#include "observe/history.hpp"
#include "pg/membership.hpp"
#include "pg/transaction.hpp"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace wc::observe::baseline {

namespace {

// A slower or faster mean is one that differs by a quarter, and by more than the clock's own noise.
constexpr const char *verdict =
    "CASE WHEN before_calls IS NULL THEN 'new' WHEN since_calls = 0 THEN 'gone' "
    "     WHEN before_calls = 0 THEN 'new' "
    "     WHEN since_mean >= 1.25 * before_mean AND since_mean - before_mean >= 0.01 THEN 'slower' "
    "     WHEN since_mean <= 0.8 * before_mean AND before_mean - since_mean >= 0.01 THEN 'faster' "
    "     ELSE 'unchanged' END";

// In a session whose writes count as replicated ones, our tables would take none: see wc_ignore_replicated().
class OwnWrites {
  public:
    OwnWrites() { settings_.set("session_replication_role", "origin"); }

  private:
    pg::SettingScope settings_;
};

std::string caller() {
    return pg::call([] { return GetUserNameFromId(GetOuterUserId(), false); });
}

std::string this_run() {
    return std::to_string(static_cast<int64>(history::run_of_server()));
}

// The role whose statements alone the caller may see; nothing: it may see all.
pg::Text own_role() {
    if (pg::call([] { return has_privs_of_role(GetOuterUserId(), ROLE_PG_READ_ALL_STATS); }))
        return {};
    return caller();
}

[[noreturn]] void throw_unknown(const std::string &name) {
    throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "there is no baseline " + pg::quote_value(name), {},
                    "SELECT name, taken_at FROM " + pg::extension_schema() + ".wc_baseline lists them.");
}

} // namespace

int64 take(pg::Spi &spi, const std::string &name) {
    if (name.empty())
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "the name of a baseline must not be empty");
    const OwnWrites writes;
    const std::string schema = pg::quote_name(pg::extension_schema());
    const auto made =
        spi.query("INSERT INTO " + schema +
                      ".wc_baseline (name, taken_at, taken_by, patterns, run) "
                      "VALUES ($1, pg_catalog.clock_timestamp(), $2, 0, $3::bigint) ON CONFLICT DO NOTHING",
                  {name, caller(), this_run()});
    if (made.processed == 0)
        throw pg::Error(ERRCODE_DUPLICATE_OBJECT, "there is already a baseline " + pg::quote_value(name), {},
                        "Choose another name, or drop it first: SELECT " + schema + ".wc_drop_baseline(" +
                            pg::quote_value(name) + ").");
    const auto copied = spi.query(
        "INSERT INTO " + schema +
            ".wc_baseline_pattern (name, number, database, role, query_id, normalised_text, calls, total_ms) "
            "SELECT $1, row_number() OVER (), s.database, s.role, s.query_id, s.normalised_text, s.calls, s.total_ms FROM " +
            schema + ".wc_query_stats AS s WHERE $2 IS NULL OR s.role = $2",
        {name, own_role()});
    // Only now: a pattern that began while they were copied is in the copy.
    spi.query("UPDATE " + schema +
                  ".wc_baseline SET taken_at = pg_catalog.clock_timestamp(), patterns = $2::bigint WHERE name = $1",
              {name, std::to_string(copied.processed)});
    return static_cast<int64>(copied.processed);
}

int64 drop(pg::Spi &spi, const std::string &name) {
    const OwnWrites writes;
    const std::string schema = pg::quote_name(pg::extension_schema());
    const auto patterns =
        spi.value("DELETE FROM " + schema + ".wc_baseline WHERE name = $1 RETURNING patterns", {name});
    if (!patterns)
        throw_unknown(name);
    return std::stoll(*patterns);
}

// A pattern whose counts began after the baseline was taken has been reset or evicted meanwhile, and another run of the
// server, or a standby, has counted from zero: all that there is has been since then.
std::vector<pg::Row> compare(pg::Spi &spi, const std::string &name) {
    const std::string schema = pg::quote_name(pg::extension_schema());
    if (spi.read("SELECT 1 FROM " + schema + ".wc_baseline WHERE name = $1", {name}).rows.empty())
        throw_unknown(name);
    return spi
        .read(
            "WITH old AS (SELECT p.database, p.role, p.query_id, p.normalised_text, p.calls, p.total_ms, b.taken_at, b.run <> $3::bigint AS of_another_run "
            "  FROM " +
                schema + ".wc_baseline AS b JOIN " + schema +
                ".wc_baseline_pattern AS p USING (name) "
                "  WHERE b.name = $1 AND ($2 IS NULL OR p.role = $2)), "
                "now AS (SELECT s.database, s.role, s.query_id, s.normalised_text, s.calls, s.total_ms, s.since FROM " +
                schema +
                ".wc_query_stats AS s WHERE $2 IS NULL OR s.role = $2), "
                "both_times AS (SELECT coalesce(now.database, old.database) AS database, coalesce(now.role, old.role) AS role, "
                "  coalesce(now.query_id, old.query_id) AS query_id, coalesce(now.normalised_text, old.normalised_text) AS normalised_text, "
                "  old.calls AS before_calls, old.total_ms AS before_ms, now.calls AS now_calls, now.total_ms AS now_ms, "
                "  old.taken_at IS NULL OR old.of_another_run OR now.since > old.taken_at OR now.calls < old.calls AS anew "
                "  FROM old FULL JOIN now ON coalesce(now.database, '') = coalesce(old.database, '') "
                "   AND coalesce(now.role, '') = coalesce(old.role, '') "
                "   AND coalesce(now.query_id, 0) = coalesce(old.query_id, 0)), "
                "differences AS (SELECT database, role, query_id, normalised_text, before_calls, "
                "  before_ms / nullif(before_calls, 0) AS before_mean, "
                "  coalesce(CASE WHEN anew THEN now_calls ELSE now_calls - before_calls END, 0) AS since_calls, "
                "  greatest(CASE WHEN anew THEN now_ms ELSE now_ms - before_ms END, 0) AS since_ms FROM both_times), "
                "means AS (SELECT *, since_ms / nullif(since_calls, 0) AS since_mean FROM differences) "
                "SELECT database, role, query_id, normalised_text, coalesce(before_calls, 0), since_calls, before_mean, "
                "  since_mean, since_mean / nullif(before_mean, 0), " +
                std::string(verdict) +
                " FROM means ORDER BY abs(since_mean - before_mean) * since_calls DESC NULLS LAST, database, role, query_id",
            {name, own_role(), this_run()})
        .rows;
}

} // namespace wc::observe::baseline
