// Which columns of the base tables the views read, and which of them have to be noted.
#include "schema/capture.hpp"

#include "core/template.hpp"
#include "pg/expression.hpp"
#include "schema/definition.hpp"

namespace wc::schema {

namespace {

void add_all(const Site &site, const std::string &table, Columns &columns) {
    for (const auto &[name, column] : site.table(table)->columns)
        columns[table].insert(name);
}

// What an expression of a mapping refers to: by the names of the table and of the lookups that it may have joined.
void add_expression(const Site &site, const std::string &table, const std::string &expression,
                    const std::set<std::string> &lookups, Columns &columns) {
    std::map<std::string, std::string> tables = {{table, table}}; // by the name that the expression knows them by
    for (const auto &name : lookups)
        tables[name] = site.lookup(table, name)->target;
    for (const auto &names : pg::referenced_names(expression)) {
        bool found = false;
        for (const auto &[alias, target] : tables) {
            const auto &there = site.table(target)->columns;
            const bool qualified = names.size() > 1;
            if (qualified && names.front() != alias)
                continue;
            const std::string &column = qualified ? names[1] : names.front();
            if (there.count(column) > 0) {
                columns[target].insert(column);
                found = true;
            } else if (qualified || names.front() == alias) { // alias.*, or the row itself
                add_all(site, target, columns);
                found = true;
            }
        }
        if (!found) // a name in words that we do not know: whatever it is, it is in one of these rows
            for (const auto &[alias, target] : tables)
                add_all(site, target, columns);
    }
}

void add_canonical(const Site &site, const Expansion::Canonical &canonical, Columns &columns) {
    for (const auto &[table, column] : canonical)
        add_columns(site, table, column, columns);
}

} // namespace

void add_columns(const Site &site, const std::string &table, const std::string &canonical, Columns &columns) {
    std::set<std::string> lookups;
    (void)canonical_expression(site, table, canonical, lookups);
    const Resolution resolution = site.resolve(table, canonical);
    columns[table];
    switch (resolution.kind) {
    case Resolution::Kind::absent:
        break;
    case Resolution::Kind::column:
        columns[table].insert(resolution.column);
        break;
    case Resolution::Kind::lookup: {
        const std::string &target = site.lookup(table, resolution.lookup)->target;
        if (const SiteColumn *found = site.column(target, resolution.column))
            columns[target].insert(found->name);
        break;
    }
    case Resolution::Kind::expression:
        add_expression(site, table, resolution.expression, lookups, columns);
        break;
    }
    for (const auto &name : lookups) {
        const Lookup &lookup = *site.lookup(table, name);
        for (const auto &[here, there] : lookup.join) {
            if (const SiteColumn *local = site.column(table, here))
                columns[table].insert(local->name);
            if (const SiteColumn *remote = site.column(lookup.target, there))
                columns[lookup.target].insert(remote->name);
        }
    }
}

std::map<std::string, Capture> captures(pg::Spi &spi, const Site &site) {
    const std::string ext = site.extension_schema() + ".";
    const Catalogue &catalogue = site.catalogue();
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> sources; // by view: table, keys template
    for (auto &row : spi.query("SELECT view_name, table_name, keys FROM " + catalogue.sources).rows)
        sources[*row[0]].emplace_back(*row[1], *row[2]);

    Columns read;
    Columns noted;
    std::set<std::string> tables; // that a view reads which is switched on
    for (auto &row : spi.query("SELECT d.name, d.definition, coalesce(r.disabled, false)::text FROM " +
                               catalogue.views + " AS d LEFT JOIN " + ext + "wc_registry AS r ON r.name = d.name")
                         .rows) {
        std::set<std::string> base_tables;
        Expansion::Canonical canonical;
        Expansion whole;
        whole.base_tables = &base_tables;
        whole.read = &canonical;
        try {
            (void)expand_query(site, *row[1], whole);
        } catch (const pg::Error &error) {
            if (error.sqlstate() == ERRCODE_UNDEFINED_TABLE || error.sqlstate() == ERRCODE_UNDEFINED_COLUMN)
                continue; // not applicable here
            throw;
        }
        add_canonical(site, canonical, read);
        for (const auto &[table, keys] : sources[*row[0]]) {
            if (base_tables.count(table) == 0)
                continue;
            Expansion::Canonical linking;
            Expansion::Canonical changed;
            Expansion source;
            source.view = source.then = "NULL"; // only the columns are asked for
            source.changed_table = table;
            source.changed_rows = site.qualified(table);
            source.read = &linking;
            source.changed = &changed;
            try {
                (void)expand_query(site, keys, source);
            } catch (const pg::Error &error) {
                if (error.sqlstate() == ERRCODE_UNDEFINED_TABLE || error.sqlstate() == ERRCODE_UNDEFINED_COLUMN)
                    continue; // a site's, of a table that is gone: see schema/incremental
                throw;
            }
            add_canonical(site, linking, read);
            Columns of_changed;
            add_canonical(site, changed, of_changed);
            noted[table].merge(Columns::mapped_type(of_changed[table]));
            for (auto &[name, columns] : of_changed)
                read[name].merge(columns);
        }
        if (row[2] != "true")
            tables.merge(base_tables);
    }
    std::map<std::string, Capture> all;
    for (const auto &table : tables) {
        Capture &capture = all[table];
        capture.table = table;
        capture.keys.assign(noted[table].begin(), noted[table].end());
        capture.compared.assign(read[table].begin(), read[table].end());
    }
    return all;
}

} // namespace wc::schema
