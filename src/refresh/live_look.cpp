// What the worker of live mode sees when it looks around.
#include "refresh/live_look.hpp"

#include "pg/membership.hpp"
#include "pg/worker.hpp"

namespace wc::refresh::live {

namespace {

std::optional<State> absence() {
    if (!OidIsValid(pg::extension_oid()))
        return State::NoExtension;
    const std::string log = pg::quote_name(pg::extension_schema()) + ".wc_change";
    pg::Spi spi;
    if (!spi.value("SELECT pg_catalog.to_regclass($1)", {log}))
        return State::OldExtension;
    return {};
}

bool is_populated(Oid relid) {
    return pg::call([=] {
        HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
        if (!HeapTupleIsValid(tuple))
            return false;
        const bool populated = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relispopulated;
        ReleaseSysCache(tuple);
        return populated;
    });
}

} // namespace

Look look_around() {
    const pg::ActiveSnapshot snapshot;
    Look look;
    look.absent = absence();
    if (look.absent)
        return look;
    pg::Spi spi;
    const std::string state = pg::quote_name(pg::extension_schema()) + ".wc_view_state";
    for (auto &view : schema::views(spi)) {
        // One that was never filled is for wc_install() and wc_refresh(), or a restore that is under way.
        if (!OidIsValid(view.relid) || !is_populated(view.relid))
            continue;
        LookedAt seen;
        seen.pending = spi.value("SELECT true FROM " + pg::quote_name(pg::extension_schema()) +
                                     ".wc_change AS c LEFT JOIN " + state +
                                     " AS s ON s.view_name = $1 WHERE c.noted_at >= coalesce(s.last_refresh, "
                                     "'-infinity') LIMIT 1",
                                 {view.name})
                           .has_value();
        seen.view = std::move(view);
        look.views.push_back(std::move(seen));
    }
    return look;
}

void look_again(LookedAt &) {}

} // namespace wc::refresh::live
