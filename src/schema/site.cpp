// One look at the site.
#include "schema/site.hpp"

#include "core/template.hpp"
#include "pg/membership.hpp"

namespace wc::schema {

namespace {

// An array of text, in its text form, as rows: one way to read arrays.
std::string unnested(const std::string &table, const std::string &array, const std::string &keys) {
    return "SELECT " + keys + ", u.e FROM " + table + " AS t, pg_catalog.unnest(t." + array +
           ") WITH ORDINALITY AS u(e, n) ORDER BY " + keys + ", u.n";
}

} // namespace

Catalogue catalogue(pg::Spi &spi) {
    const std::string ext = pg::quote_name(pg::extension_schema()) + ".";
    if (spi.value("SELECT pg_catalog.to_regclass($1)", {ext + "wc_site_view"}))
        return {ext + "wc_view_catalogue", ext + "wc_source_catalogue", ext + "wc_index_catalogue",
                ext + "wc_base_table", true};
    return {ext + "wc_view_definition", ext + "wc_view_source", ext + "wc_index_definition", ext + "wc_default_column",
            false};
}

Site::Site(pg::Spi &spi)
    : extension_schema_(pg::quote_name(pg::extension_schema())), catalogue_(schema::catalogue(spi)) {
    const std::string schema = extension_schema_ + ".";
    for (auto &row : spi.query("SELECT name, value FROM " + schema + "wc_configuration").rows)
        settings_[*row[0]] = *row[1];
    for (auto &row : spi.query("SELECT table_name, canonical, type, coerce::text FROM " + schema +
                               "wc_default_column ORDER BY table_name, position")
                         .rows)
        canonical_[*row[0]][*row[1]] = {*row[2], *row[3] == "true", {}};
    for (auto &[name, columns] : canonical_)
        canonical_tables_.push_back(name);
    for (auto &row : spi.query(unnested(schema + "wc_default_column", "candidates", "t.table_name, t.canonical")).rows)
        canonical_[*row[0]][*row[1]].candidates.push_back(*row[2]);
    for (auto &row : spi.query("SELECT table_name, lookup, target_table FROM " + schema + "wc_lookup").rows)
        lookups_[{*row[0], *row[1]}].target = *row[2];
    for (auto &row : spi.query(unnested(schema + "wc_lookup", "join_columns", "t.table_name, t.lookup")).rows) {
        const size_t equals = row[2]->find('=');
        lookups_[{*row[0], *row[1]}].join.emplace_back(row[2]->substr(0, equals), row[2]->substr(equals + 1));
    }
    for (auto &row : spi.query("SELECT table_name, canonical, expression FROM " + schema + "wc_site_mapping").rows)
        mappings_[{*row[0], *row[1]}] = *row[2];

    // The tables, and their columns with the facts that definitions depend on.
    const auto columns = spi.query(
        "SELECT c.relname, c.oid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), b.typname,"
        "       (b.typtype = 'e')::text,"
        "       CASE WHEN b.typname IN ('varchar', 'bpchar') AND m.typmod > 4 THEN m.typmod - 4 ELSE 0 END,"
        "       b.oid"
        "  FROM pg_catalog.pg_class AS c"
        "  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        "  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        "  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid"
        "  JOIN pg_catalog.pg_type AS b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END"
        "  CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS typmod) AS m"
        " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')"
        "   AND c.relname IN (SELECT table_name FROM " +
            catalogue_.tables + ")",
        {setting("base_schema")});
    const auto enums =
        spi.query("SELECT enumtypid, enumlabel FROM pg_catalog.pg_enum ORDER BY enumtypid, enumsortorder");
    std::map<std::string, std::vector<std::string>> labels;
    for (auto &row : enums.rows)
        labels[*row[0]].push_back(*row[1]);
    for (auto &row : columns.rows) {
        SiteTable &table = tables_[*row[0]];
        table.name = *row[0];
        table.relid = pg::oid_of(row[1]);
        SiteColumn column;
        column.name = *row[2];
        column.type = *row[3];
        column.base_type = *row[4];
        column.is_enum = *row[5] == "true";
        column.declared_length = std::stoi(*row[6]);
        if (column.is_enum)
            column.labels = labels[*row[7]];
        table.columns[column.name] = std::move(column);
    }
}

const std::string &Site::setting(const std::string &name) const {
    return settings_.at(name);
}

std::vector<std::string> Site::grades() const {
    return core::split_list(setting("grades"));
}

const SiteTable *Site::table(const std::string &name) const {
    const auto found = tables_.find(name);
    return found == tables_.end() ? nullptr : &found->second;
}

bool Site::is_canonical_table(const std::string &table) const {
    return canonical_.count(table) > 0;
}

bool Site::is_canonical(const std::string &table, const std::string &column) const {
    const auto found = canonical_.find(table);
    return found != canonical_.end() && found->second.count(column) > 0;
}

const std::map<std::string, CanonicalColumn> &Site::canonical_columns(const std::string &table) const {
    static const std::map<std::string, CanonicalColumn> none;
    const auto found = canonical_.find(table);
    return found == canonical_.end() ? none : found->second;
}

const Lookup *Site::lookup(const std::string &table, const std::string &name) const {
    const auto found = lookups_.find({table, name});
    return found == lookups_.end() ? nullptr : &found->second;
}

std::vector<std::string> Site::lookup_names(const std::string &table) const {
    std::vector<std::string> names;
    for (const auto &[key, lookup] : lookups_)
        if (key.first == table)
            names.push_back(key.second);
    return names;
}

Resolution Site::candidate(const std::string &table, const std::string &expression) const {
    Resolution resolution;
    resolution.expression = expression;
    const SiteTable *site_table = this->table(table);
    const core::MappingReference reference = core::parse_mapping(expression);
    using Form = core::MappingReference::Form;
    if (reference.form == Form::expression) {
        resolution.kind = Resolution::Kind::expression;
    } else if (reference.form == Form::qualified && reference.qualifier != table) {
        const Lookup *found = lookup(table, reference.qualifier);
        if (found != nullptr && this->table(found->target) != nullptr) {
            resolution.kind = Resolution::Kind::lookup;
            resolution.lookup = reference.qualifier;
            resolution.column = reference.column;
        }
    } else if (site_table != nullptr && site_table->columns.count(reference.column) > 0) {
        resolution.kind = Resolution::Kind::column;
        resolution.column = reference.column;
    }
    return resolution;
}

Resolution Site::resolve(const std::string &table, const std::string &canonical) const {
    if (const auto mapped = mappings_.find({table, canonical}); mapped != mappings_.end()) {
        Resolution resolution = candidate(table, mapped->second);
        resolution.from_site = true;
        return resolution;
    }
    const auto columns = canonical_.find(table);
    if (columns != canonical_.end())
        if (const auto column = columns->second.find(canonical); column != columns->second.end())
            for (const auto &expression : column->second.candidates)
                if (Resolution found = candidate(table, expression); found.kind != Resolution::Kind::absent)
                    return found;
    Resolution own;
    if (const SiteTable *there = this->table(table);
        there != nullptr && !is_canonical(table, canonical) && there->columns.count(canonical) > 0) {
        own.kind = Resolution::Kind::column;
        own.column = canonical;
    }
    return own;
}

const SiteColumn *Site::column(const std::string &table, const std::string &canonical) const {
    const Resolution resolution = resolve(table, canonical);
    if (resolution.kind != Resolution::Kind::column)
        return nullptr;
    return &this->table(table)->columns.at(resolution.column);
}

std::string Site::qualified(const std::string &relation) const {
    return pg::quote_name(setting("base_schema")) + "." + pg::quote_name(relation);
}

} // namespace wc::schema
