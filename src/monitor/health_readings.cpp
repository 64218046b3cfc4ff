// What alerts want to know from inside a database: how old its views are, which refreshes fail, how long the change log
// is. Read from what every version of the extension has.
#include "monitor/health_look.hpp"
#include "pg/guc.hpp"
#include "pg/spi.hpp"

#include <algorithm>

namespace wc::monitor::health {

namespace {

// The longest change log that is counted row by row, each time.
constexpr int64 most_counted = 2000000;

double number(const pg::Text &value) {
    return value ? std::stod(*value) : 0;
}

// Views that are there and filled, by the schedule that they have. The age is that of the last refresh of ours: one
// that was refreshed by hand alone is not known to be old or young.
void of_views(pg::Spi &spi, const std::string &schema, std::vector<Reading> &out) {
    const auto rows = spi.query(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), "
        "extract(epoch FROM pg_catalog.now() - t.last_refresh) / extract(epoch FROM CASE s.schedule "
        "WHEN 'hourly' THEN interval '1 hour' WHEN 'six_hourly' THEN interval '6 hours' "
        "WHEN 'daily' THEN interval '24 hours' END), "
        "(SELECT pg_catalog.count(*) FROM " +
        schema +
        ".wc_refresh_log AS g WHERE g.view_name = s.view_name AND g.status = 'failed' AND g.started_at > coalesce("
        "(SELECT l.started_at FROM " +
        schema +
        ".wc_refresh_log AS l WHERE l.view_name = s.view_name AND l.status = 'refreshed' "
        "ORDER BY l.started_at DESC LIMIT 1), '-infinity')) "
        "FROM " +
        schema + ".wc_view_schedule AS s JOIN " + schema +
        ".wc_configuration AS b ON b.name = 'base_schema' "
        "JOIN pg_catalog.pg_namespace AS n ON n.nspname = b.value "
        "JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = s.view_name AND c.relkind = 'm' "
        "AND c.relispopulated "
        "LEFT JOIN " +
        schema + ".wc_view_state AS t ON t.view_name = s.view_name LEFT JOIN " + schema +
        ".wc_registry AS r ON r.name = s.view_name "
        "WHERE NOT coalesce(r.disabled, false) ORDER BY 1");
    for (const auto &row : rows.rows) {
        if (row[1])
            out.push_back(alerts::reading(Watched::ViewAge, MyDatabaseId, *row[0], number(row[1])));
        out.push_back(alerts::reading(Watched::RefreshFailed, MyDatabaseId, *row[0], number(row[2])));
    }
}

// Counted up to where every further row is one too many; of a log that may be longer than that, what the server's own
// counter says, which begins anew after a crash.
void of_change_log(pg::Spi &spi, const std::string &schema, std::vector<Reading> &out) {
    const pg::Text log = spi.value("SELECT pg_catalog.to_regclass($1)::oid", {schema + ".wc_change"});
    if (!log) // 1.0.0
        return;
    const double limit = pg::settings::change_log_limit;
    const auto most = std::min<int64>(2LL * pg::settings::change_log_limit, most_counted);
    const pg::Text rows =
        spi.value("SELECT greatest((SELECT pg_catalog.count(*) FROM (SELECT FROM " + schema +
                      ".wc_change LIMIT $1::int8) AS c), pg_catalog.pg_stat_get_live_tuples($2::oid) * ($3::int8))",
                  {std::to_string(most), log, most == most_counted ? "1" : "0"});
    const pg::Text name = spi.value("SELECT pg_catalog.current_database()");
    out.push_back(alerts::reading(Watched::ChangeLog, MyDatabaseId, *name, 100 * number(rows) / limit));
}

} // namespace

std::vector<Reading> readings(const std::string &schema) {
    pg::Spi spi;
    std::vector<Reading> out;
    of_change_log(spi, schema, out);
    of_views(spi, schema, out);
    return out;
}

} // namespace wc::monitor::health
