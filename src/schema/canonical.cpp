// Canonical columns and views over the site's tables.
#include "core/template.hpp"
#include "schema/definition.hpp"

namespace wc::schema {

namespace {

const char *const clock_expression =
    "coalesce(nullif(current_setting('whitecross.now', true), '')::timestamptz, now())";

// Converts an expression of a site's type to a canonical type. base_type: pg_type.typname; empty for an expression of
// the site, whose type the definition itself then asks for: a plain cast would go by the session's time zone.
std::string converted(const std::string &expression, const std::string &base_type, const std::string &canonical_type,
                      const std::string &timezone) {
    const std::string of_type = "pg_catalog.pg_typeof(" + expression + ") = 'pg_catalog.";
    if (canonical_type == "date") {
        if (base_type == "date")
            return expression;
        // At the ends of time (about 4711 BC and 294266 AD) a zone's offset may lead out of range, which would raise.
        const auto local_date = [&](const std::string &moment) {
            return "CASE WHEN " + moment + " > pg_catalog.to_timestamp(9224000000000) THEN 'infinity'::date WHEN " +
                   moment + " < pg_catalog.to_timestamp(-210800000000) THEN '-infinity'::date ELSE (" + moment +
                   " AT TIME ZONE " + timezone + ")::date END";
        };
        if (base_type == "timestamptz")
            return local_date(expression);
        if (base_type.empty())
            return "CASE WHEN " + of_type + "timestamptz'::regtype THEN " +
                   local_date("(" + expression + ")::timestamptz") + " ELSE (" + expression + ")::date END";
        return "(" + expression + ")::date";
    }
    if (canonical_type == "timestamptz") {
        const std::string as_utc = "((" + expression + ")::timestamp AT TIME ZONE 'UTC')"; // as applications store it
        const std::string as_local = "((" + expression + ")::timestamp AT TIME ZONE " + timezone + ")";
        if (base_type == "timestamptz")
            return expression;
        if (base_type == "timestamp")
            return as_utc;
        if (base_type == "date")
            return as_local;
        if (base_type.empty())
            return "CASE WHEN " + of_type + "timestamp'::regtype THEN " + as_utc + " WHEN " + of_type +
                   "date'::regtype THEN " + as_local + " ELSE (" + expression + ")::timestamptz END";
        return "(" + expression + ")::timestamptz";
    }
    if (canonical_type == "text" && base_type == "text")
        return expression;
    if (canonical_type == "boolean" && base_type == "bool")
        return expression;
    if (canonical_type == "text[]" && base_type == "_text")
        return expression;
    return "(" + expression + ")::" + canonical_type;
}

void require_table(const Site &site, const std::string &table) {
    if (site.table(table) == nullptr)
        throw pg::Error(ERRCODE_UNDEFINED_TABLE, "table " + site.qualified(table) + " does not exist");
}

} // namespace

std::string canonical_expression(const Site &site, const std::string &table, const std::string &canonical,
                                 std::set<std::string> &lookups) {
    const Resolution resolution = site.resolve(table, canonical);
    if (!site.is_canonical(table, canonical)) { // a column of the site's own stands for itself
        if (resolution.kind != Resolution::Kind::column)
            throw pg::Error(ERRCODE_UNDEFINED_COLUMN, "table \"" + table + "\" has no " +
                                                          (site.is_canonical_table(table) ? "canonical " : "") +
                                                          "column \"" + canonical + "\"");
        return pg::quote_name(table) + "." + pg::quote_name(resolution.column);
    }
    const CanonicalColumn &column = site.canonical_columns(table).at(canonical);
    const std::string timezone = pg::quote_value(site.setting("timezone"));
    std::string expression;
    std::string base_type;
    switch (resolution.kind) {
    case Resolution::Kind::absent:
        return "NULL::" + column.type;
    case Resolution::Kind::column:
        expression = pg::quote_name(table) + "." + pg::quote_name(resolution.column);
        base_type = site.table(table)->columns.at(resolution.column).base_type;
        break;
    case Resolution::Kind::lookup: {
        const std::string &target = site.lookup(table, resolution.lookup)->target;
        const SiteColumn *found = site.column(target, resolution.column);
        if (found == nullptr)
            return "NULL::" + column.type;
        lookups.insert(resolution.lookup);
        expression = pg::quote_name(resolution.lookup) + "." + pg::quote_name(found->name);
        base_type = found->base_type;
        break;
    }
    case Resolution::Kind::expression:
        expression = "(" + resolution.expression + ")";
        for (const auto &name : site.lookup_names(table))
            if (resolution.expression.find(name + ".") != std::string::npos)
                lookups.insert(name);
        break;
    }
    return column.coerce ? converted(expression, base_type, column.type, timezone) : expression;
}

std::string from_clause(const Site &site, const std::string &table, const std::set<std::string> &lookups,
                        std::set<std::string> *base_tables, const std::string &rows,
                        std::vector<std::string> *looked_up) {
    require_table(site, table);
    if (base_tables != nullptr)
        base_tables->insert(table);
    std::string from = (rows.empty() ? site.qualified(table) : rows) + " AS " + pg::quote_name(table);
    for (const auto &name : lookups) {
        const Lookup &lookup = *site.lookup(table, name);
        if (base_tables != nullptr)
            base_tables->insert(lookup.target);
        if (looked_up != nullptr)
            looked_up->push_back(lookup.target);
        from += " LEFT JOIN " + site.qualified(lookup.target) + " AS " + pg::quote_name(name) + " ON ";
        bool first = true;
        for (const auto &[here, there] : lookup.join) {
            const SiteColumn *local = site.column(table, here);
            const SiteColumn *remote = site.column(lookup.target, there);
            if (local == nullptr || remote == nullptr)
                throw pg::Error(ERRCODE_UNDEFINED_COLUMN,
                                "no column stands for " + table + "." + here + " or " + lookup.target + "." + there);
            from += (first ? "" : " AND ") + pg::quote_name(name) + "." + pg::quote_name(remote->name) + " = " +
                    pg::quote_name(table) + "." + pg::quote_name(local->name);
            first = false;
        }
    }
    return from;
}

std::string expand_query(const Site &site, const std::string &text, const Expansion &expansion) {
    const std::string timezone = pg::quote_value(site.setting("timezone"));
    const std::string now = expansion.clock.empty() ? clock_expression : expansion.clock;
    const auto local_date = [&](const std::string &moment) {
        return "(" + moment + " AT TIME ZONE " + timezone + ")::date";
    };

    // A table, or its changed rows, as a sub-select of canonical columns.
    const auto table = [&](const core::TableReference &reference, const std::string &rows,
                           Expansion::Canonical *columns_read) {
        require_table(site, reference.table);
        if (expansion.named != nullptr)
            expansion.named->push_back(reference.table);
        std::string columns;
        std::set<std::string> lookups;
        for (const auto &column : reference.columns) {
            const std::string expression = canonical_expression(site, reference.table, column, lookups);
            if (column == "id" && expression.starts_with("NULL::"))
                throw pg::Error(ERRCODE_UNDEFINED_COLUMN, "no column stands for " + reference.table + "." + column);
            columns += (columns.empty() ? "" : ", ") + expression + " AS " + pg::quote_name(column);
            if (columns_read != nullptr)
                columns_read->insert({reference.table, column});
        }
        return "(SELECT " + columns + " FROM " +
               from_clause(site, reference.table, lookups, expansion.base_tables, rows, expansion.looked_up) + ")";
    };

    // A condition that rows, by these expressions, are among the keys.
    const auto only = [&](std::string_view body) -> std::string {
        const auto expressions = core::split_expressions(body);
        if (expressions.size() != expansion.key_columns.size() && !expansion.key_columns.empty())
            throw std::invalid_argument("{only " + std::string(body) + "} has another number of columns than the key");
        if (expansion.keys.empty())
            return {};
        if (expressions.size() == 1)
            return "AND " + expressions.front() + " = ANY (" + expansion.keys + ")";
        std::string list;
        for (const auto &expression : expressions)
            list += (list.empty() ? "" : ", ") + expression;
        return "AND (" + list + ") IN (SELECT * FROM unnest(" + expansion.keys + "))";
    };

    // The first moment of tomorrow: midnight; where the clocks skip that or come to it twice, they change at a quarter
    // of an hour.
    const auto next_day = [&] {
        return "(SELECT min(m) FROM (SELECT s FROM pg_catalog.generate_series(pg_catalog.to_timestamp(pg_catalog.floor("
               "EXTRACT(epoch FROM " +
               now + ") / 900) * 900), " + now +
               " + interval '50 hours', interval '15 minutes') AS s UNION ALL SELECT (" + local_date(now) +
               " + 1)::timestamp AT TIME ZONE " + timezone + ") AS g(m) WHERE m > " + now + " AND " + local_date("m") +
               " > " + local_date(now) + ")";
    };

    return core::expand(
        core::choose_sections(text, !expansion.keys.empty()), [&](std::string_view body) -> std::string {
            if (expansion.reads_clock != nullptr && (body == "now" || body == "today" || body == "next day"))
                *expansion.reads_clock = true;
            if (body == "now")
                return now;
            if (body == "today")
                return local_date(now);
            if (body == "timezone")
                return timezone;
            if (body == "keys")
                return "unnest(" + expansion.keys + ")"; // unqualified: else the server takes but one array
            if (body.starts_with("only "))
                return only(core::trim(body.substr(5)));
            if (body == "then" && !expansion.then.empty())
                return expansion.then;
            if (body == "that day" && !expansion.then.empty())
                return local_date(expansion.then);
            if (body == "next day" && !expansion.view.empty())
                return next_day();
            if (body == "view" && !expansion.view.empty())
                return expansion.view;
            core::TableReference reference = core::parse_table_reference(body);
            if (reference.table != "changed")
                return table(reference, {}, expansion.read);
            if (expansion.changed_rows.empty())
                throw std::invalid_argument("{changed: ...} outside the keys template of a source");
            reference.table = expansion.changed_table;
            return table(reference, expansion.changed_rows, expansion.changed);
        });
}

std::string expand_view(const Site &site, const std::string &definition, std::set<std::string> *base_tables) {
    Expansion expansion;
    expansion.base_tables = base_tables;
    return expand_query(site, definition, expansion);
}

} // namespace wc::schema
