// The SQL-visible functions of managed objects. Thin: see operations.hpp.
#include "schema/capture.hpp"
#include "schema/incremental.hpp"
#include "schema/operations.hpp"

#include "core/template.hpp"
#include "pg/compat.hpp"
#include "pg/function.hpp"
#include "pg/membership.hpp"
#include "pg/transaction.hpp"

extern "C" {
#include "commands/event_trigger.h"
}

using namespace wc;

Datum schema::return_actions(FunctionCallInfo fcinfo, const std::vector<Action> &actions) {
    pg::ResultSet rows(fcinfo);
    for (const auto &action : actions)
        rows.add({action.kind, action.name, action.table, action.action,
                  action.reason.empty() ? pg::Text{} : pg::Text{action.reason}});
    return rows.done();
}

// wc_install(kind text) -> kind, name, table_name, action, reason. Errors: 22023 unknown kind, 25006 read-only.
WC_FUNCTION(wc_install) {
    pg::require_writable("wc_install()");
    const auto kind = pg::text_argument(fcinfo, 0);
    pg::Spi spi;
    return schema::return_actions(fcinfo, schema::install(spi, kind));
}

// wc_retire(kind text) -> as wc_install.
WC_FUNCTION(wc_retire) {
    pg::require_writable("wc_retire()");
    const auto kind = pg::text_argument(fcinfo, 0);
    pg::Spi spi;
    return schema::return_actions(fcinfo, schema::retire(spi, kind));
}

// wc_suspend_views() -> as wc_install.
WC_FUNCTION(wc_suspend_views) {
    pg::require_writable("wc_suspend_views()");
    pg::Spi spi;
    return schema::return_actions(fcinfo, schema::suspend_views(spi));
}

// wc_disable(name text) -> as wc_install. Errors: 42704 unknown name, 2BP01 others depend on it.
WC_FUNCTION(wc_disable) {
    pg::require_writable("wc_disable()");
    const std::string name = pg::required_text(fcinfo, 0, "name");
    pg::Spi spi;
    return schema::return_actions(fcinfo, schema::set_disabled(spi, name, true));
}

// wc_enable(name text) -> as wc_install. Errors: 42704 unknown name.
WC_FUNCTION(wc_enable) {
    pg::require_writable("wc_enable()");
    const std::string name = pg::required_text(fcinfo, 0, "name");
    pg::Spi spi;
    return schema::return_actions(fcinfo, schema::set_disabled(spi, name, false));
}

// wc_objects() -> kind, name, table_name, status, validated, reason, definition.
WC_FUNCTION(wc_objects) {
    pg::Spi spi;
    const schema::Site site(spi);
    pg::ResultSet rows(fcinfo);
    for (const auto &state : schema::inspect(spi, site)) {
        const auto &wanted = state.wanted;
        pg::Text validated;
        if (state.exists())
            validated = state.validated ? "true" : "false";
        rows.add({wanted.kind, wanted.name, wanted.table, schema::status_name(state.status), validated,
                  state.reason.empty() ? pg::Text{} : pg::Text{state.reason},
                  wanted.sql.empty() ? pg::Text{} : pg::Text{wanted.sql}});
    }
    return rows.done();
}

// wc_object_links() -> kind, name, linked: of each installed object, whether DROP EXTENSION removes it.
WC_FUNCTION(wc_object_links) {
    pg::Spi spi;
    const schema::Site site(spi);
    pg::ResultSet rows(fcinfo);
    for (const auto &state : schema::inspect(spi, site))
        if (state.ours())
            rows.add({state.wanted.kind, state.wanted.name, state.linked ? "true" : "false"});
    return rows.done();
}

// Event trigger on what may drop the extension: objects of ours whose links a restore has lost go with it all the same.
WC_FUNCTION(wc_restore_links) {
    if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
        throw pg::Error(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED,
                        "wc_restore_links() is not called by event trigger");
    if (OidIsValid(pg::extension_oid())) {
        pg::Spi spi;
        // What keeps us from it must not keep anybody from dropping something else.
        if (const auto failure = pg::attempt([&] { schema::relink(spi); })) {
            const std::string reason = schema::failure_reason(*failure);
            const char *text = reason.c_str();
            pg::call([=] {
                ereport(WARNING,
                        (errmsg("links of whitecross's objects could not be restored: %s", text),
                         errhint("If the extension is dropped, constraints and indexes of its making may stay.")));
            });
        }
    }
    return pg::return_null(fcinfo);
}

// wc_caller_messages() -> client_min_messages of whoever runs CREATE EXTENSION: the server raises it for the script, so
// that its NOTICEs would not be seen; a restore, which wants none, has raised it itself.
WC_FUNCTION(wc_caller_messages) {
    const char *level = pg::call([] { return pg::compat::caller_message_level(); });
    return pg::return_text(fcinfo, std::string(level));
}

// wc_validate() -> constraint_name, table_name, violations, validated.
WC_FUNCTION(wc_validate) {
    pg::require_writable("wc_validate()");
    pg::Spi spi;
    pg::ResultSet rows(fcinfo);
    for (const auto &verdict : schema::validate(spi))
        rows.add({verdict.constraint, verdict.table, verdict.violations, verdict.validated ? "true" : "false"});
    return rows.done();
}

// wc_enforce(constraint_name text) -> as wc_install. Errors: 42704 unknown, 42809 no constraint, 55000 not applicable.
WC_FUNCTION(wc_enforce) {
    pg::require_writable("wc_enforce()");
    const std::string name = pg::required_text(fcinfo, 0, "constraint_name");
    pg::Spi spi;
    return schema::return_actions(fcinfo, schema::enforce(spi, name));
}

// wc_breaches(constraint_name text) -> table_name, key (jsonb). Errors: as wc_enforce; 42501 for one who may not read
// the table.
WC_FUNCTION(wc_breaches) {
    const std::string name = pg::required_text(fcinfo, 0, "constraint_name");
    pg::Spi spi;
    const schema::Breaches found = schema::breaches(spi, name);
    pg::ResultSet rows(fcinfo);
    for (const auto &key : found.keys)
        rows.add({found.table, key});
    return rows.done();
}

// wc_configure(name text, value text) -> as wc_install: what wc_install() will rebuild. Errors: 42704, 22023, 3F000.
WC_FUNCTION(wc_configure) {
    pg::require_writable("wc_configure()");
    const std::string name = pg::required_text(fcinfo, 0, "name");
    const auto value = pg::text_argument(fcinfo, 1);
    pg::Spi spi;
    return schema::return_actions(fcinfo, schema::configure(spi, name, value));
}

// wc_map_column(table_name text, canonical text, expression text) -> as wc_configure.
WC_FUNCTION(wc_map_column) {
    pg::require_writable("wc_map_column()");
    const std::string table = pg::required_text(fcinfo, 0, "table_name");
    const std::string canonical = pg::required_text(fcinfo, 1, "canonical");
    const auto expression = pg::text_argument(fcinfo, 2);
    pg::Spi spi;
    return schema::return_actions(fcinfo, schema::map_column(spi, table, canonical, expression));
}

// wc_resolve_columns() -> table_name, canonical, expression, source: what stands for each canonical column.
WC_FUNCTION(wc_resolve_columns) {
    pg::Spi spi;
    const schema::Site site(spi);
    pg::ResultSet rows(fcinfo);
    for (const auto &table : site.canonical_tables())
        for (const auto &[canonical, column] : site.canonical_columns(table)) {
            const auto resolution = site.resolve(table, canonical);
            const bool absent = resolution.kind == schema::Resolution::Kind::absent;
            rows.add({table, canonical, resolution.expression.empty() ? pg::Text{} : pg::Text{resolution.expression},
                      std::string(resolution.from_site ? "site"
                                  : absent             ? "none"
                                                       : "default"),
                      absent ? "false" : "true"});
        }
    return rows.done();
}

// wc_view_query(view_name text, keys text) -> the SELECT of a view over this site's tables; with keys, SQL array
// expressions, one for each column of the view's refresh key and separated by commas, the one restricted to them.
// Errors: 42704, 42P01, 42703.
WC_FUNCTION(wc_view_query) {
    const std::string name = pg::required_text(fcinfo, 0, "view_name");
    const auto keys = pg::text_argument(fcinfo, 1);
    pg::Spi spi;
    const schema::Site site(spi);
    const auto view = schema::view(spi, name);
    const auto definition =
        spi.value("SELECT definition FROM " + site.catalogue().views + " WHERE name = $1", {view.name});
    schema::Expansion expansion;
    expansion.keys = keys.value_or("");
    return pg::return_text(fcinfo, schema::expand_query(site, definition.value_or(""), expansion));
}

// wc_refresh_queries(view_name text) -> view_name, problem, key_columns, tables, restricted, keys, pending,
// next_moment: what an incremental refresh of a view, or of each, runs. Errors: 42704.
WC_FUNCTION(wc_refresh_queries) {
    const auto name = pg::text_argument(fcinfo, 0);
    pg::Spi spi;
    std::vector<std::string> names;
    if (name)
        names.push_back(schema::view(spi, *name).name);
    else
        for (const auto &view : schema::views(spi))
            names.push_back(view.name);
    const auto text = [](const std::string &value) { return value.empty() ? pg::Text{} : pg::Text{value}; };
    pg::ResultSet rows(fcinfo);
    for (const auto &view : names) {
        const schema::Incremental plan = schema::incremental(spi, view);
        rows.add({view, text(plan.problem), core::array_literal(plan.key_columns), core::array_literal(plan.tables),
                  text(plan.select), text(plan.keys_of_log), text(plan.pending), plan.next_moment});
    }
    return rows.done();
}

// wc_captured_columns() -> table_name, captured, compared: of each base table that a view reads, the columns that are
// noted of a changed row, and those that an UPDATE must change for it to count.
WC_FUNCTION(wc_captured_columns) {
    pg::Spi spi;
    const schema::Site site(spi);
    pg::ResultSet rows(fcinfo);
    for (const auto &[table, capture] : schema::captures(spi, site))
        rows.add({table, core::array_literal(capture.keys), core::array_literal(capture.compared)});
    return rows.done();
}
