// The statements of a view's incremental refresh.
#include "refresh/plan.hpp"

#include "refresh/restriction.hpp"
#include "schema/incremental.hpp"

#include <algorithm>

namespace wc::refresh {

namespace {

std::string list(const std::vector<std::string> &items, const char *separator) {
    std::string text;
    for (const auto &item : items)
        text += (text.empty() ? "" : separator) + item;
    return text;
}

std::string of(const char *alias, const std::string &column) {
    return std::string(alias) + "." + pg::quote_name(column);
}

// SELECT count(*), array_agg(k1), ... of the keys.
std::string keys_statement(const schema::Incremental &incremental) {
    std::string arrays;
    for (size_t i = 1; i <= incremental.key_columns.size(); ++i)
        arrays += ", pg_catalog.array_agg(k.k" + std::to_string(i) + ")";
    return "SELECT pg_catalog.count(*)" + arrays + " FROM (SELECT * FROM (" + incremental.keys +
           ") AS u LIMIT $3::int8) AS k";
}

// The condition that a row of the view has one of the keys.
std::string has_key(const schema::Incremental &incremental) {
    const auto &columns = incremental.key_columns;
    const auto &types = incremental.key_types;
    if (columns.size() == 1)
        return of("v", columns[0]) + " = ANY ($1::" + types[0] + "[])";
    std::vector<std::string> here;
    std::vector<std::string> wanted;
    std::vector<std::string> arrays;
    std::vector<std::string> names;
    for (size_t i = 0; i < columns.size(); ++i) {
        const std::string number = std::to_string(i + 1);
        here.push_back(of("v", columns[i]));
        wanted.push_back("u.k" + number + "::" + types[i]);
        arrays.push_back("$" + number + "::text[]");
        names.push_back("k" + number);
    }
    return "(" + list(here, ", ") + ") IN (SELECT " + list(wanted, ", ") + " FROM ROWS FROM (pg_catalog.unnest(" +
           list(arrays, "), pg_catalog.unnest(") + ")) AS u (" + list(names, ", ") + "))";
}

// Two rows are one row, changed, where the columns of the view's unique key agree. Only a column of the refresh key is
// known not to be NULL; a record is equal to another where both have NULL in the same place.
std::string same_row(const schema::View &view, const schema::Incremental &incremental) {
    std::vector<std::string> terms;
    std::vector<std::string> left;
    std::vector<std::string> right;
    for (const auto &column : view.key_columns) {
        const auto &keys = incremental.key_columns;
        if (std::find(keys.begin(), keys.end(), column) != keys.end()) {
            terms.push_back(of("n", column) + " = " + of("o", column));
        } else {
            left.push_back(of("n", column));
            right.push_back(of("o", column));
        }
    }
    if (!left.empty())
        terms.push_back("ROW(" + list(left, ", ") + ")::record = ROW(" + list(right, ", ") + ")::record");
    return list(terms, " AND ");
}

std::string difference_statement(pg::Spi &spi, const schema::View &view, const schema::Incremental &incremental) {
    std::vector<std::string> fresh;
    std::vector<std::string> old;
    for (const auto &row : spi.query("SELECT a.attname FROM pg_catalog.pg_attribute AS a"
                                     " WHERE a.attrelid = $1::oid AND a.attnum > 0 ORDER BY a.attnum",
                                     {std::to_string(view.relid)})
                               .rows) {
        fresh.push_back(of("n", *row[0]));
        old.push_back(of("o", *row[0]));
    }
    const std::string absent = of("n", incremental.key_columns[0]) + " IS NULL";
    const std::string unknown = of("o", incremental.key_columns[0]) + " IS NULL";
    return "SELECT CASE WHEN " + absent + " THEN 1 WHEN " + unknown + " THEN 3 ELSE 2 END, o.wc_place, " +
           list(fresh, ", ") + " FROM (" + incremental.select +
           ") AS n FULL JOIN (SELECT v.ctid AS wc_place, v.* FROM " + view.qualified() + " AS v WHERE " +
           has_key(incremental) + ") AS o ON " + same_row(view, incremental) + " WHERE " + absent + " OR " + unknown +
           " OR ROW(" + list(fresh, ", ") + ")::record OPERATOR(pg_catalog.*<>) ROW(" + list(old, ", ") +
           ")::record ORDER BY 1";
}

// The keys query reads the log as the triggers ought to write it. Where they write other columns, they were made for
// another mapping or another set of views.
std::string layout_problem(pg::Spi &spi, const schema::View &view, const schema::Incremental &incremental) {
    for (const auto &[table, layout] : incremental.layouts) {
        const auto differs =
            spi.value("SELECT true FROM pg_catalog.pg_trigger AS t"
                      "  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid"
                      "  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                      " WHERE n.nspname = $1 AND c.relname = $2"
                      "   AND t.tgname = ANY ('{wc_capture_insert,wc_capture_update,wc_capture_delete,"
                      "wc_capture_replica,wc_capture_row}'::pg_catalog.name[])"
                      // The arguments, each ending in a zero byte; the second are the columns.
                      "   AND pg_catalog.split_part(pg_catalog.encode(t.tgargs, 'escape'), E'\\\\000', 2) <>"
                      "       pg_catalog.encode(pg_catalog.convert_to($3, pg_catalog.getdatabaseencoding()), 'escape')"
                      " LIMIT 1",
                      {view.schema, table, layout});
        if (differs)
            return "triggers of table " + table + " note other columns than it needs: run wc_install()";
    }
    return {};
}

} // namespace

std::vector<std::string> Plan::table_list() const {
    std::vector<std::string> out;
    for (size_t at = 0; at < tables.size();) {
        const size_t end = std::min(tables.find(',', at), tables.size());
        out.push_back(tables.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

Plan make_plan(pg::Spi &spi, const std::string &name) {
    const schema::View view = schema::view(spi, name);
    const schema::Incremental incremental = schema::incremental(spi, name);
    Plan plan;
    plan.problem = incremental.problem.empty() ? layout_problem(spi, view, incremental) : incremental.problem;
    plan.tables = list(incremental.tables, ",");
    if (!plan.problem.empty())
        return plan;
    for (const auto &table : incremental.tables)
        if (incremental.layouts.count(table) == 0)
            plan.whole_tables += (plan.whole_tables.empty() ? "" : ",") + table;
    plan.key_columns = static_cast<int>(incremental.key_columns.size());
    plan.keys = keys_statement(incremental);
    plan.difference = difference_statement(spi, view, incremental);
    plan.next_moment = incremental.next_moment.value_or("");
    if (view.of_site) {
        const Restriction restriction = try_restriction(spi, view, incremental);
        plan.problem = restriction.problem;
        plan.untried = restriction.unknown;
    }
    return plan;
}

} // namespace wc::refresh
