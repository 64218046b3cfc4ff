// What the other rooms may know of managed objects.
#include "schema/schema.hpp"

#include "pg/membership.hpp"
#include "schema/site.hpp"

namespace wc::schema {

std::string View::qualified() const {
    return pg::quote_name(schema) + "." + pg::quote_name(name);
}

std::vector<View> views(pg::Spi &spi) {
    const std::string ext = pg::quote_name(pg::extension_schema()) + ".";
    const std::string base = configuration(spi, "base_schema");
    std::map<std::string, View> by_name;
    const Catalogue from = catalogue(spi);
    for (auto &row : spi.query("SELECT d.name, c.oid, u.e, " + std::string(from.of_site ? "d.of_site" : "false") +
                                   "  FROM " + from.views +
                                   " AS d"
                                   "  CROSS JOIN LATERAL pg_catalog.unnest(d.key_columns) WITH ORDINALITY AS u(e, n)"
                                   "  LEFT JOIN pg_catalog.pg_namespace AS s ON s.nspname = $1"
                                   "  LEFT JOIN pg_catalog.pg_class AS c"
                                   "    ON c.relnamespace = s.oid AND c.relname = d.name AND c.relkind = 'm'"
                                   "       AND EXISTS (SELECT FROM " +
                                   ext +
                                   "wc_registry AS r WHERE r.name = d.name AND r.definition IS NOT NULL)"
                                   " ORDER BY d.name, u.n",
                               {base})
                         .rows) {
        View &view = by_name[*row[0]];
        view.name = *row[0];
        view.schema = base;
        view.relid = pg::oid_of(row[1]);
        view.of_site = row[3] == "t";
        view.key_columns.push_back(*row[2]);
    }
    std::vector<View> all;
    for (auto &[name, view] : by_name)
        all.push_back(std::move(view));
    return all;
}

View view(pg::Spi &spi, const std::string &name) {
    std::vector<View> all = views(spi);
    for (const std::string &wanted : {name, "mv_" + name})
        for (auto &view : all)
            if (view.name == wanted)
                return std::move(view);
    std::string names;
    for (const auto &view : all)
        names += (names.empty() ? "" : ", ") + view.name;
    throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "unknown materialized view", {}, "The views are: " + names + ".");
}

std::string configuration(pg::Spi &spi, const std::string &name) {
    const auto value = spi.value(
        "SELECT value FROM " + pg::quote_name(pg::extension_schema()) + ".wc_configuration WHERE name = $1", {name});
    if (!value)
        throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "unknown configuration \"" + name + "\"");
    return *value;
}

} // namespace wc::schema
