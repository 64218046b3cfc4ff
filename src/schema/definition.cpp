// What each constraint and index ought to be on this site.
#include "schema/definition.hpp"

#include "core/template.hpp"
#include "schema/triggers.hpp"

#include <algorithm>

namespace wc::schema {

namespace {

// A B-tree row holds at most 2,704 bytes: what would pass this is left out of INCLUDE, so that no index of ours ever
// refuses a row. Characters count as four bytes, the longest in UTF-8.
constexpr int index_row_limit = 2600;

constexpr std::string_view free_text[] = {"notes",          "diagnosis",          "reason",   "location",
                                          "managementPlan", "emergencyProcedure", "reaction", "epiPenLocation"};

// Thrown while an object is resolved: a column it can't do without is absent.
struct AbsentColumn {
    std::string column;
};

std::string quoted_list(const std::vector<std::string> &values) {
    std::string list;
    for (const auto &value : values)
        list += (list.empty() ? "" : ", ") + pg::quote_value(value);
    return list;
}

// A membership test that never compares with a label that an enum lacks (that would raise 22P02).
std::string membership(const SiteColumn &column, std::vector<std::string> values) {
    if (column.is_enum)
        std::erase_if(values, [&](const std::string &value) {
            return std::find(column.labels.begin(), column.labels.end(), value) == column.labels.end();
        });
    if (values.empty())
        return "false";
    return pg::quote_name(column.name) + " IN (" + quoted_list(values) + ")";
}

// A placeholder of a CHECK expression or an index predicate.
std::string column_term(const Site &site, const std::string &table, std::string_view body) {
    using Form = core::ColumnReference::Form;
    const core::ColumnReference reference = core::parse_column_reference(body);
    const SiteColumn *column = site.column(table, reference.column);
    if (column == nullptr) {
        if (reference.true_when_absent)
            return "true";
        if (reference.null_when_absent)
            return "NULL::date";
        throw AbsentColumn{reference.column};
    }
    const std::string name = pg::quote_name(column->name);
    switch (reference.form) {
    case Form::is_null:
        return name + " IS NULL";
    case Form::in_values:
        return membership(*column, reference.values);
    case Form::in_list:
        if (reference.list != "grades")
            throw std::invalid_argument("unknown list @" + reference.list);
        return membership(*column, site.grades());
    case Form::date:
        if (column->base_type == "timestamptz")
            return "(" + name + " AT TIME ZONE 'UTC')::date";
        return column->base_type == "date" ? name : "(" + name + ")::date";
    case Form::plain:
        break;
    }
    return name;
}

// The site's columns that stand for a canonical one in an index: itself; or, where the row of a lookup that it is the
// key of is found by columns of this table, those. Empty: nothing on the same row stands for it.
std::vector<const SiteColumn *> index_columns(const Site &site, const std::string &table,
                                              const std::string &canonical) {
    if (const SiteColumn *column = site.column(table, canonical))
        return {column};
    const Resolution resolution = site.resolve(table, canonical);
    std::vector<const SiteColumn *> columns;
    if (resolution.kind == Resolution::Kind::lookup && resolution.column == "id" && resolution.lookup != "student")
        for (const auto &[here, there] : site.lookup(table, resolution.lookup)->join)
            if (const SiteColumn *column = site.column(table, here))
                columns.push_back(column);
    return columns;
}

class IndexBuilder {
  public:
    IndexBuilder(const Site &site, Definition &index) : site_(site), index_(index) {}

    void add_key(const std::string &text) {
        const core::KeyReference key = core::parse_key_reference(text);
        const auto columns = index_columns(site_, index_.table, key.column);
        if (columns.empty()) {
            if (index_.keys.empty())
                throw AbsentColumn{key.column};
            leave_out(key.column, absence(key.column));
        }
        for (const SiteColumn *column : columns)
            if (used_.insert(column->name).second) {
                index_.keys.push_back({column->name, key.descending});
                bytes_ += 4 * column->declared_length;
            }
    }

    void add_include(const std::string &canonical) {
        const auto columns = index_columns(site_, index_.table, canonical);
        if (columns.empty())
            leave_out(canonical, absence(canonical));
        for (const SiteColumn *column : columns) {
            if (used_.count(column->name) > 0)
                continue;
            const bool unbounded = column->declared_length == 0 && std::find(std::begin(free_text), std::end(free_text),
                                                                             canonical) != std::end(free_text);
            if (unbounded || column->base_type == "jsonb" || column->base_type == "json")
                leave_out(canonical, "free text without a declared length");
            else if (bytes_ + 4 * column->declared_length >= index_row_limit)
                leave_out(canonical, "could make an index row too long");
            else {
                used_.insert(column->name);
                index_.include.push_back(column->name);
                bytes_ += 4 * column->declared_length;
            }
        }
    }

  private:
    [[nodiscard]] std::string absence(const std::string &canonical) const {
        const bool mapped = site_.resolve(index_.table, canonical).kind == Resolution::Kind::expression;
        return mapped ? "mapped to an expression" : "absent";
    }

    void leave_out(const std::string &canonical, const std::string &why) {
        index_.note += (index_.note.empty() ? "left out: " : ", ") + canonical + " (" + why + ")";
    }

    const Site &site_;
    Definition &index_;
    std::set<std::string> used_;
    int bytes_ = 0;
};

std::string index_sql(const Site &site, const Definition &index) {
    std::string sql = std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX " + pg::quote_name(index.name) +
                      " ON " + site.qualified(index.table) + " USING btree (";
    for (size_t i = 0; i < index.keys.size(); ++i)
        sql += (i ? ", " : "") + pg::quote_name(index.keys[i].column) + (index.keys[i].descending ? " DESC" : "");
    sql += ")";
    if (!index.include.empty()) {
        sql += " INCLUDE (";
        for (size_t i = 0; i < index.include.size(); ++i)
            sql += (i ? ", " : "") + pg::quote_name(index.include[i]);
        sql += ")";
    }
    if (index.nulls_not_distinct)
        sql += " NULLS NOT DISTINCT";
    // Sequelize 6 tells the columns of an index apart by the commas of pg_get_indexdef(), brackets and all: an INCLUDE
    // list leaves it one comma short, and every sync() of the application ends in a TypeError. Two parameters, both at
    // their defaults, put that comma in.
    if (!index.include.empty())
        sql += " WITH (fillfactor = 90, deduplicate_items = on)";
    if (!index.predicate.empty())
        sql += " WHERE " + index.predicate;
    return sql;
}

// Runs a step of resolution; an absent column becomes the reason why the object isn't applicable.
template <typename F> void resolve_object(const Site &site, Definition &object, F &&step) {
    if (site.table(object.table) == nullptr) {
        object.missing = "table " + site.qualified(object.table) + " does not exist";
        return;
    }
    try {
        step();
    } catch (const AbsentColumn &absent) {
        const bool mapped = site.resolve(object.table, absent.column).kind == Resolution::Kind::expression;
        object.not_applicable = "column " + absent.column + " of table " + object.table +
                                (mapped ? " is mapped to an expression" : " is absent");
    }
}

void add_constraints(pg::Spi &spi, const Site &site, std::vector<Definition> &out) {
    for (auto &row : spi.query("SELECT name, table_name, expression, comment FROM " + site.extension_schema() +
                               ".wc_constraint_definition ORDER BY position")
                         .rows) {
        Definition object;
        object.kind = "check constraint";
        object.name = *row[0];
        object.table = *row[1];
        object.comment = *row[3];
        resolve_object(site, object, [&] {
            object.expression =
                core::expand(*row[2], [&](std::string_view body) { return column_term(site, object.table, body); });
            object.sql = "ALTER TABLE " + site.qualified(object.table) + " ADD CONSTRAINT " +
                         pg::quote_name(object.name) + " CHECK (" + object.expression + ")";
        });
        out.push_back(std::move(object));
    }
}

// The arrays of index definitions, element by element.
struct IndexParts {
    std::vector<std::string> keys;
    std::vector<std::string> include;
    std::vector<std::string> predicate;
};

std::map<std::string, IndexParts> index_parts(pg::Spi &spi, const Site &site) {
    std::map<std::string, IndexParts> all;
    for (auto &row : spi.query("SELECT d.name, a.part, u.e FROM " + site.catalogue().indexes +
                               " AS d"
                               "  CROSS JOIN LATERAL (VALUES ('key', d.key_columns), ('include', d.include_columns),"
                               "                             ('predicate', d.predicate)) AS a(part, elements)"
                               "  CROSS JOIN LATERAL pg_catalog.unnest(a.elements) WITH ORDINALITY AS u(e, n)"
                               " ORDER BY d.name, a.part, u.n")
                         .rows) {
        IndexParts &parts = all[*row[0]];
        auto &elements = row[1] == "key" ? parts.keys : row[1] == "include" ? parts.include : parts.predicate;
        elements.push_back(*row[2]);
    }
    return all;
}

void add_indexes(pg::Spi &spi, const Site &site, std::vector<Definition> &out) {
    const auto parts_of = index_parts(spi, site);
    std::set<std::string> views;
    for (auto &row : spi.query("SELECT name FROM " + site.catalogue().views).rows)
        views.insert(*row[0]);
    for (auto &row : spi.query("SELECT kind, name, table_name, is_unique, nulls_not_distinct, comment FROM " +
                               site.catalogue().indexes + " ORDER BY position, name")
                         .rows) {
        Definition object;
        object.kind = *row[0];
        object.name = *row[1];
        object.table = *row[2];
        object.unique = *row[3] == "t";
        object.nulls_not_distinct = *row[4] == "t";
        object.comment = *row[5];
        const IndexParts &parts = parts_of.at(object.name);
        const bool of_view = object.of_view = views.count(object.table) > 0;
        const auto build = [&] {
            IndexBuilder builder(site, object);
            for (const auto &key : parts.keys) {
                if (!of_view) {
                    builder.add_key(key);
                    continue;
                }
                const core::KeyReference reference = core::parse_key_reference(key);
                object.keys.push_back({reference.column, reference.descending});
            }
            for (const auto &column : parts.include)
                builder.add_include(column);
            for (const auto &term : parts.predicate) {
                const std::string expanded = core::expand(term, [&](std::string_view body) {
                    if (!of_view)
                        return column_term(site, object.table, body);
                    const core::ColumnReference reference = core::parse_column_reference(body); // statuses are text
                    SiteColumn column;
                    column.name = reference.column;
                    return reference.form == core::ColumnReference::Form::in_values
                               ? membership(column, reference.values)
                               : pg::quote_name(column.name);
                });
                if (expanded != "true")
                    object.predicate += (object.predicate.empty() ? "" : " AND ") + expanded;
            }
            object.sql = index_sql(site, object);
        };
        if (of_view)
            build();
        else
            resolve_object(site, object, build);
        out.push_back(std::move(object));
    }
}

void add_views(pg::Spi &spi, const Site &site, std::vector<Definition> &out) {
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> comments;
    for (auto &row : spi.query("SELECT view_name, column_name, comment FROM " + site.extension_schema() +
                               ".wc_view_column ORDER BY view_name, column_name")
                         .rows)
        comments[*row[0]].emplace_back(*row[1], *row[2]);
    for (auto &row :
         spi.query("SELECT name, definition, comment FROM " + site.catalogue().views + " ORDER BY name").rows) {
        Definition object;
        object.kind = "materialized view";
        object.name = *row[0];
        object.table = *row[0];
        object.comment = *row[2];
        object.column_comments = std::move(comments[object.name]);
        try {
            const std::string select = expand_view(site, *row[1], &object.base_tables);
            object.sql = "CREATE MATERIALIZED VIEW " + site.qualified(object.name) + " AS " + select;
        } catch (const pg::Error &error) {
            if (error.sqlstate() == ERRCODE_UNDEFINED_TABLE)
                object.missing = error.what();
            else if (error.sqlstate() == ERRCODE_UNDEFINED_COLUMN)
                object.not_applicable = error.what();
            else
                throw;
        }
        out.push_back(std::move(object));
    }
}

} // namespace

const std::vector<std::string> &kinds() {
    static const std::vector<std::string> all = {
        "check constraint",  "covering index", "partial index", "composite index",
        "materialized view", "view index",     "refresh index", "trigger"};
    return all;
}

std::vector<Definition> definitions(pg::Spi &spi, const Site &site) {
    std::vector<Definition> all;
    add_constraints(spi, site, all);
    add_indexes(spi, site, all);
    add_views(spi, site, all);
    add_triggers(spi, site, all);
    // In the order of installation; within a kind, as they were added.
    const auto rank = [](const Definition &object) {
        return std::find(kinds().begin(), kinds().end(), object.kind) - kinds().begin();
    };
    std::stable_sort(all.begin(), all.end(),
                     [&](const Definition &a, const Definition &b) { return rank(a) < rank(b); });
    return all;
}

} // namespace wc::schema
