// What an incremental refresh of a view runs.
#include "schema/incremental.hpp"

#include "core/template.hpp"
#include "pg/membership.hpp"
#include "schema/capture.hpp"
#include "schema/definition.hpp"
#include "schema/schema.hpp"

#include <algorithm>

namespace wc::schema {

namespace {

// The changed rows as a common table expression, and the two parameters of a keys query.
const char *const changed_name = "wc_changed";
const char *const snapshot = "$1::pg_catalog.pg_snapshot";
const char *const then = "($2::timestamptz)";

std::string quoted_list(const std::vector<std::string> &values) {
    std::string list;
    for (const auto &value : values)
        list += (list.empty() ? "" : ", ") + pg::quote_value(value);
    return list;
}

// The rows of a table as they were noted: what stands for the table in a keys template.
std::string changed_rows(const Site &site, const Capture &capture) {
    std::string columns;
    for (size_t i = 0; i < capture.keys.size(); ++i)
        columns += (i > 0 ? ", " : "") + std::string("c.keys[") + std::to_string(i + 1) +
                   "]::" + site.table(capture.table)->columns.at(capture.keys[i]).type + " AS " +
                   pg::quote_name(capture.keys[i]);
    return "(SELECT " + columns + " FROM " + changed_name +
           " AS c WHERE c.table_name = " + pg::quote_value(capture.table) + ")";
}

// k1, k2, ...
std::string key_names(size_t count, const std::string &prefix, const std::vector<std::string> &types = {}) {
    std::string names;
    for (size_t i = 0; i < count; ++i)
        names += (i > 0 ? ", " : "") + prefix + std::to_string(i + 1) + (types.empty() ? "" : "::" + types[i]);
    return names;
}

struct Row {
    std::string definition;
    std::vector<std::string> refresh_columns;
    pg::Text keys_between;
    pg::Text next_moment;
};

Row read_definition(pg::Spi &spi, const std::string &views, const std::string &name) {
    Row row;
    for (auto &found : spi.query("SELECT d.definition, d.keys_between, d.next_moment, u.e FROM " + views +
                                     " AS d LEFT JOIN LATERAL pg_catalog.unnest(d.refresh_columns)"
                                     " WITH ORDINALITY AS u(e, n) ON true WHERE d.name = $1 ORDER BY u.n",
                                 {name})
                           .rows) {
        row.definition = *found[0];
        row.keys_between = found[1];
        row.next_moment = found[2];
        if (found[3])
            row.refresh_columns.push_back(*found[3]);
    }
    return row;
}

// The types of the key columns in the view; fewer where one isn't there.
std::vector<std::string> types_of(pg::Spi &spi, const View &view, const std::vector<std::string> &columns) {
    std::vector<std::string> types;
    for (auto &row : spi.query("SELECT pg_catalog.format_type(a.atttypid, a.atttypmod)"
                               "  FROM pg_catalog.unnest($2::text[]) WITH ORDINALITY AS u(e, n)"
                               "  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = $1::oid AND a.attname = u.e"
                               " ORDER BY u.n",
                               {std::to_string(view.relid), core::array_literal(columns)})
                         .rows)
        types.push_back(*row[0]);
    return types;
}

// A column of a table that is mapped to one of several rows which a lookup may find (its join is not by their id): what
// changes in such a row is widened to that row's own key, and not to those of all rows that look it up. Empty: none.
std::string ambiguous_column(const Site &site, const std::string &table) {
    for (const auto &lookup : site.lookup_names(table)) {
        const auto &join = site.lookup(table, lookup)->join;
        if (std::any_of(join.begin(), join.end(), [](const auto &pair) { return pair.second == "id"; }))
            continue;
        for (const auto &[canonical, column] : site.canonical_columns(table)) {
            const Resolution found = site.resolve(table, canonical);
            if ((found.kind == Resolution::Kind::lookup && found.lookup == lookup && found.column != "id") ||
                (found.kind == Resolution::Kind::expression &&
                 found.expression.find(lookup + ".") != std::string::npos))
                return canonical;
        }
    }
    return {};
}

} // namespace

std::string pending_condition(const std::string &consumed) {
    return "c.xid >= pg_catalog.pg_snapshot_xmin(" + consumed + ") AND NOT pg_catalog.pg_visible_in_snapshot(c.xid, " +
           consumed + ")";
}

Incremental incremental(pg::Spi &spi, const std::string &name) {
    Incremental plan;
    const View view = schema::view(spi, name);
    const std::string ext = pg::quote_name(pg::extension_schema()) + ".";
    if (!spi.value("SELECT pg_catalog.to_regclass($1)", {ext + "wc_change"})) {
        plan.problem = "the extension of this database has no change log yet";
        return plan;
    }
    if (view.relid == InvalidOid) {
        plan.problem = "the view is not installed";
        return plan;
    }
    const Site site(spi);
    const Row row = read_definition(spi, site.catalogue().views, view.name);
    // A view that others depend on stays as it was when its definition changes. Refreshed as a whole it is what it was
    // made from; the rows of some keys must not be anything else.
    std::set<std::string> read;
    const pg::Text made_from = spi.value("SELECT definition FROM " + ext + "wc_registry WHERE name = $1", {view.name});
    if (made_from !=
        "CREATE MATERIALIZED VIEW " + site.qualified(view.name) + " AS " + expand_view(site, row.definition, &read)) {
        plan.problem = "the view was made from another definition: run wc_install()";
        return plan;
    }
    plan.key_columns = row.refresh_columns;
    plan.key_types = types_of(spi, view, plan.key_columns);
    if (plan.key_columns.empty() || plan.key_types.size() != plan.key_columns.size()) {
        plan.problem = "it has no columns to restrict it by";
        return plan;
    }

    // The restricted definition, and with it the tables that it reads.
    std::set<std::string> base_tables;
    std::vector<std::string> looked_up;
    Expansion restricted;
    restricted.looked_up = &looked_up;
    restricted.key_columns = plan.key_columns;
    for (size_t i = 0; i < plan.key_types.size(); ++i)
        restricted.keys += (i > 0 ? ", $" : "$") + std::to_string(i + 1) + "::" + plan.key_types[i] + "[]";
    restricted.base_tables = &base_tables;
    plan.select = expand_query(site, row.definition, restricted);
    plan.tables.assign(base_tables.begin(), base_tables.end());
    for (const auto &table : plan.tables)
        if (const std::string column = ambiguous_column(site, table); !column.empty()) {
            plan.problem =
                "column " + column + " of table " + table + " is mapped to a row that is not found by its id";
            return plan;
        }

    // The keys of changed rows, a query for each source.
    const auto noted = captures(spi, site);
    std::map<std::string, std::string> sources;
    std::set<std::string> direct;
    for (auto &source : spi.query("SELECT table_name, keys, direct::text FROM " + site.catalogue().sources +
                                      " WHERE view_name = $1 ORDER BY 1",
                                  {view.name})
                            .rows)
        // A row that another one looks up concerns that one's key too, which its own columns don't tell.
        if (source[2] != "true" || std::find(looked_up.begin(), looked_up.end(), *source[0]) == looked_up.end()) {
            sources[*source[0]] = *source[1];
            if (source[2] == "true")
                direct.insert(*source[0]);
        }
    std::string queries;
    std::vector<std::string> whole; // tables without a source: any change concerns the whole view
    // Adds what a keys template gives; false where a table or column that it names is gone.
    const auto add_keys = [&](const std::string &keys, const Expansion &expansion) {
        std::string query;
        try {
            query = expand_query(site, keys, expansion);
        } catch (const pg::Error &error) {
            if (error.sqlstate() != ERRCODE_UNDEFINED_TABLE && error.sqlstate() != ERRCODE_UNDEFINED_COLUMN)
                throw;
            plan.problem = std::string("the keys that follow from a change can't be told: ") + error.what();
            return false;
        }
        queries += (queries.empty() ? "" : " UNION ALL ") + std::string("SELECT ") +
                   key_names(plan.key_columns.size(), "s.k", plan.key_types) + " FROM (" + query + ") AS s(" +
                   key_names(plan.key_columns.size(), "k") + ")";
        return true;
    };
    for (const auto &table : plan.tables) {
        const auto capture = noted.find(table);
        const auto source = sources.find(table);
        if (capture == noted.end() || capture->second.keys.empty() || source == sources.end()) {
            whole.push_back(table);
            continue;
        }
        plan.layouts[table] = core::array_literal(capture->second.keys);
        Expansion expansion;
        expansion.changed_table = table;
        expansion.changed_rows = changed_rows(site, capture->second);
        expansion.then = then;
        expansion.view = view.qualified();
        if (!add_keys(source->second, expansion))
            return plan;
        if (direct.count(table) > 0) {
            expansion.changed_rows = site.qualified(table);
            plan.keys_of_tables.push_back(expand_query(site, source->second, expansion));
        }
    }
    Expansion of_time;
    of_time.then = then;
    of_time.view = view.qualified();
    if (row.keys_between && !add_keys(*row.keys_between, of_time))
        return plan;
    std::string texts;
    std::string known;
    for (size_t i = 1; i <= plan.key_columns.size(); ++i) {
        const std::string column = "k.k" + std::to_string(i);
        texts += (i > 1 ? ", " : "") + column + "::text";
        known += (i > 1 ? " AND " : "") + column + " IS NOT NULL";
    }
    if (queries.empty()) // every change concerns the whole view, and nothing changes by itself
        queries = "SELECT " + key_names(plan.key_columns.size(), "NULL AS k") + " WHERE false";
    // Equal keys may have several texts (1.0 and 1.00).
    plan.keys = "SELECT " + texts + " FROM (SELECT DISTINCT " + key_names(plan.key_columns.size(), "d.k") + " FROM (" +
                queries + ") AS d) AS k WHERE " + known;
    plan.keys_of_log = std::string("WITH ") + changed_name + " AS MATERIALIZED (SELECT c.table_name, c.keys FROM " +
                       ext + "wc_change AS c WHERE " + pending_condition(snapshot) +
                       " AND c.keys IS NOT NULL AND c.table_name IN (" + quoted_list(plan.tables) + ")) " + plan.keys;

    const std::string of_all =
        whole.empty() ? "c.keys IS NULL" : "(c.keys IS NULL OR c.table_name IN (" + quoted_list(whole) + "))";
    plan.pending = "SELECT count(*), min(c.noted_at), coalesce(bool_or(" + of_all +
                   "), false), string_agg(DISTINCT c.table_name, ', ') FILTER (WHERE " + of_all + ") FROM " + ext +
                   "wc_change AS c WHERE " + pending_condition(snapshot) + " AND c.table_name IN (" +
                   quoted_list(plan.tables) + ")";
    if (row.next_moment) {
        of_time.then.clear();
        plan.next_moment = expand_query(site, *row.next_moment, of_time);
    }
    return plan;
}

} // namespace wc::schema
