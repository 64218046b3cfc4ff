// Making materialized views and indexes.
#include "schema/operations.hpp"
#include "schema/views.hpp"

#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "pg/transaction.hpp"
#include "schema/schema.hpp"

namespace wc::schema {

namespace {

FillView fill_hook = nullptr;
AfterInstall after_hook = nullptr;

std::string owner_of_students(pg::Spi &spi, const Site &site) {
    return spi
        .value("SELECT r.rolname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_roles AS r ON r.oid = c.relowner"
               " WHERE c.oid = $1::oid",
               {std::to_string(site.table("students")->relid)})
        .value_or("");
}

} // namespace

void on_view_made(FillView fill) {
    fill_hook = fill;
}

void on_views_installed(AfterInstall after) {
    after_hook = after;
}

void views_installed(pg::Spi &spi) {
    if (after_hook != nullptr)
        after_hook(spi);
}

std::string view_owner_problem(pg::Spi &spi, const Site &site, const State &state) {
    if (site.table("students") == nullptr)
        return "table " + site.qualified("students") + " does not exist";
    const std::string owner = owner_of_students(spi, site);
    for (const auto &name : state.wanted.base_tables) {
        const std::string relid = std::to_string(site.table(name)->relid);
        if (spi.value("SELECT pg_catalog.has_table_privilege($1, $2::oid, 'SELECT')", {owner, relid}) != "t")
            return "role " + owner + ", owner of students, may not read table " + name;
        if (spi.value("SELECT c.relrowsecurity AND NOT r.rolsuper AND NOT r.rolbypassrls"
                      "       AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE'))"
                      "  FROM pg_catalog.pg_class AS c, pg_catalog.pg_roles AS r"
                      " WHERE r.rolname = $1 AND c.oid = $2::oid",
                      {owner, relid}) == "t")
            return "row security of table " + name + " applies to role " + owner + ", owner of students";
    }
    return {};
}

void make_view(pg::Spi &spi, const Site &site, State &state) {
    // A mapping may have been given before its table was there.
    for (const auto &table : state.wanted.base_tables)
        for (const auto &[canonical, column] : site.canonical_columns(table))
            if (const Resolution found = site.resolve(table, canonical); found.kind == Resolution::Kind::expression)
                require_safe_mapping(site, table, found.expression);
    const std::string name = site.qualified(state.wanted.name);
    spi.query(state.wanted.sql + " WITH NO DATA");
    spi.query("ALTER MATERIALIZED VIEW " + name + " OWNER TO " + pg::quote_name(owner_of_students(spi, site)));
    spi.query("COMMENT ON MATERIALIZED VIEW " + name + " IS " + pg::quote_value(state.wanted.comment));
    for (const auto &[column, comment] : state.wanted.column_comments)
        spi.query("COMMENT ON COLUMN " + name + "." + pg::quote_name(column) + " IS " + pg::quote_value(comment));
    state.oid = pg::find_relation(site.setting("base_schema"), state.wanted.name);
    state.populated = false;
    pg::link(RelationRelationId, state.oid);
    revoke_defaults(spi, site, state);
}

void make_index(pg::Spi &spi, const Site &site, State &state) {
    spi.query(state.wanted.sql);
    spi.query("COMMENT ON INDEX " + site.qualified(state.wanted.name) + " IS " + pg::quote_value(state.wanted.comment));
    state.oid = pg::find_relation(site.setting("base_schema"), state.wanted.name);
    pg::link(RelationRelationId, state.oid);
}

bool adopt_view(pg::Spi &spi, const Site &site, State &state) {
    if (!state.wanted.applicable())
        return false;
    // Only the server can tell whether two SELECTs are the same: make ours beside it, compare, and take it back.
    const std::string probe = site.qualified("wc_probe_" + state.wanted.name);
    const size_t select = state.wanted.sql.find(" AS ");
    bool same = false;
    struct TakeBack {};
    try {
        (void)pg::attempt([&] {
            spi.query("CREATE MATERIALIZED VIEW " + probe + state.wanted.sql.substr(select) + " WITH NO DATA");
            same = spi.value("SELECT (c.relkind = 'm' AND pg_catalog.pg_get_viewdef(c.oid)"
                             "        = pg_catalog.pg_get_viewdef($2::regclass))::text"
                             "  FROM pg_catalog.pg_class AS c WHERE c.oid = $1::oid",
                             {std::to_string(state.oid), probe}) == "true";
            throw TakeBack();
        });
    } catch (const TakeBack &) {
    }
    if (same)
        spi.query("INSERT INTO " + site.extension_schema() +
                      ".wc_registry (name, kind, table_name, made, definition) VALUES ($1, $2, $1, false, $3)"
                      " ON CONFLICT (name) DO UPDATE SET made = false, definition = excluded.definition",
                  {state.wanted.name, state.wanted.kind, state.wanted.sql});
    return same;
}

std::optional<std::string> fill_view(pg::Spi &spi, const Site &site, const State &state) {
    if (fill_hook == nullptr)
        throw std::logic_error("no room has offered to fill views");
    View view;
    view.name = state.wanted.name;
    view.schema = site.setting("base_schema");
    view.relid = state.oid;
    return fill_hook(spi, view);
}

} // namespace wc::schema
