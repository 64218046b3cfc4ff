// What the worker of live mode sees when it looks around.
#include "refresh/live_look.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/transaction.hpp"
#include "pg/worker.hpp"
#include "refresh/facts.hpp"
#include "refresh/perform.hpp"
#include "refresh/record.hpp"

namespace wc::refresh::live {

namespace {

// What the last refresh of each view left, and whether anything has been noted since. Changes are found by the index,
// from the oldest transaction that the refresh had not seen.
std::map<std::string, pg::Row> states(pg::Spi &spi) {
    const std::string ext = pg::quote_name(pg::extension_schema()) + ".";
    std::map<std::string, pg::Row> by_view;
    for (auto &row : spi.read("SELECT s.view_name, s.clock, p.problem, p.next_moment, s.consumed IS NULL OR EXISTS ("
                              "SELECT FROM " +
                              ext + "wc_change AS c WHERE " + schema::pending_condition("s.consumed") +
                              " AND c.table_name = ANY (pg_catalog.string_to_array(p.tables, ','))) "
                              "FROM " +
                              ext +
                              "wc_view_state AS s, pg_catalog.jsonb_to_record(s.plan) "
                              "AS p(problem text, tables text, next_moment text) WHERE s.clock IS NOT NULL")
                         .rows)
        by_view.emplace(*row[0], std::move(row));
    return by_view;
}

} // namespace

Look look_around() {
    const Settings settings(pg::settings::lock_timeout);
    const pg::ActiveSnapshot snapshot;
    Look look;
    if (!OidIsValid(pg::extension_oid()))
        look.absent = State::NoExtension;
    else if (!has_change_log())
        look.absent = State::OldExtension;
    if (look.absent)
        return look;
    pg::Spi spi;
    const auto by_view = states(spi);
    for (auto &view : schema::views(spi)) {
        // One that was never filled is for wc_install() and wc_refresh(), or a restore that is under way.
        const Facts now = OidIsValid(view.relid) ? facts(view.relid) : Facts{};
        if (!now.populated)
            continue;
        LookedAt seen;
        seen.owner = now.owner;
        const auto state = by_view.find(view.name);
        if (state == by_view.end()) {
            seen.pending = true; // no refresh on record
        } else {
            const pg::Row &row = state->second;
            if (!row[2].value_or("").empty()) // each change would cost a refresh of the whole view: its schedule's task
                continue;
            seen.clock = *row[1];
            seen.next_moment = row[3].value_or("");
            seen.pending = row[4] == "t";
        }
        seen.view = std::move(view);
        look.views.push_back(std::move(seen));
    }
    return look;
}

TimestampTz next_moment(const LookedAt &view) {
    const char *const set = pg::settings::now;
    if (view.next_moment.empty() || view.clock.empty() || (set != nullptr && *set != '\0'))
        return 0; // a clock that was set stands still
    Settings settings(pg::settings::lock_timeout);
    pg::SettingScope clock;
    clock.set("whitecross.now", view.clock.c_str());
    const pg::ActiveSnapshot snapshot;
    pg::Spi spi;
    const pg::UserScope owner(view.owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    // In the server's own measure, microseconds since 2000: exact, because extract() gives a numeric.
    const auto rows =
        spi.read("SELECT ((extract(epoch FROM m) - extract(epoch FROM timestamptz '2000-01-01 00:00:00+00'))"
                 " * 1000000)::int8 FROM (" +
                 view.next_moment + ") AS moment(m)")
            .rows;
    return rows.empty() || !rows.front()[0] ? 0 : std::stoll(*rows.front()[0]);
}

} // namespace wc::refresh::live
