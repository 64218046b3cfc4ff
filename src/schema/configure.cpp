// The site's decisions: wc_configure(), wc_map_column().
#include "schema/operations.hpp"

#include "core/template.hpp"
#include "pg/expression.hpp"
#include "pg/transaction.hpp"

namespace wc::schema {

namespace {

[[noreturn]] void bad_value(const std::string &name, const std::string &detail, const std::string &hint) {
    throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for configuration \"" + name + "\"", detail, hint);
}

void check_schema(pg::Spi &spi, const Site &site, const std::string &value) {
    if (spi.value("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", {value}) != "1")
        throw pg::Error(ERRCODE_UNDEFINED_SCHEMA, "schema \"" + value + "\" does not exist", {},
                        "Create the schema, or name the one that holds the base tables.");
    if (value == site.setting("base_schema"))
        return;
    for (const State &state : inspect(spi, site))
        if (state.ours())
            throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                            "cannot change base_schema while managed objects are installed",
                            "They stand in schema \"" + site.setting("base_schema") + "\".",
                            "Run wc_retire() first, and wc_install() afterwards.");
}

void check_timezone(pg::Spi &spi, const std::string &value) {
    if (pg::attempt([&] { spi.query("SELECT pg_catalog.now() AT TIME ZONE $1", {value}); }))
        bad_value("timezone", "The server knows no time zone of that name.",
                  "SELECT name FROM pg_timezone_names lists the names, for example America/New_York.");
}

void check_grades(const std::string &value) {
    for (const auto &grade : core::split_list(value))
        if (grade.empty() || grade.find('\'') != std::string::npos)
            bad_value("grades", "A grade is empty, or has a quote in it.",
                      "Give the grades separated by commas, for example 'Pre-K,K,1,2,3'.");
}

// What wc_install() would do, by what differs from before.
std::vector<Action> consequences(pg::Spi &spi) {
    const Site site(spi);
    std::vector<Action> actions;
    for (const State &state : inspect(spi, site)) {
        if (state.status == Status::outdated && state.wanted.applicable())
            actions.push_back(action_of(state, "rebuild", "wc_install() rebuilds it"));
        else if (state.status == Status::outdated)
            actions.push_back(action_of(state, "outdated", state.wanted.not_applicable + state.wanted.missing));
    }
    return actions;
}

} // namespace

void require_safe_mapping(const Site &site, const std::string &table, const std::string &expression) {
    if (!pg::is_single_expression(expression))
        throw pg::Error(ERRCODE_SYNTAX_ERROR, "a column mapping must be a single expression", {},
                        "Give a column, a column of a lookup, or one expression, without comments.");
    if (site.table(table) == nullptr) // the rest is checked when the table is there, by wc_install()
        return;
    std::set<std::string> lookups;
    for (const auto &name : site.lookup_names(table))
        if (expression.find(name + ".") != std::string::npos && site.table(site.lookup(table, name)->target) != nullptr)
            lookups.insert(name);
    const std::string select = "SELECT (" + expression + ") FROM " + from_clause(site, table, lookups, nullptr);
    if (pg::has_subselect(select))
        throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "a column mapping may not contain a sub-select", {},
                        "Use a lookup such as student.\"schoolId\", or a generated column of the table.");
    if (const auto function = pg::foreign_function(select))
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "a column mapping may use built-in functions only",
                        "The expression calls " + *function + ".",
                        "Use PostgreSQL's own functions and operators, or a generated column of the table.");
}

std::vector<Action> configure(pg::Spi &spi, const std::string &name, const pg::Text &value) {
    const Site site(spi);
    const std::string ext = site.extension_schema() + ".";
    if (spi.value("SELECT 1 FROM " + ext + "wc_default_setting WHERE name = $1", {name}) != "1")
        throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "unknown configuration \"" + name + "\"", {},
                        "SELECT name FROM wc_configuration lists the names.");
    if (value) {
        if (name == "base_schema")
            check_schema(spi, site, *value);
        else if (name == "timezone")
            check_timezone(spi, *value);
        else if (name == "grades")
            check_grades(*value);
        spi.query("INSERT INTO " + ext +
                      "wc_site_setting (name, value) VALUES ($1, $2)"
                      " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                  {name, value});
    } else {
        if (name == "base_schema")
            check_schema(spi, site,
                         *spi.value("SELECT value FROM " + ext + "wc_default_setting WHERE name = $1", {name}));
        spi.query("DELETE FROM " + ext + "wc_site_setting WHERE name = $1", {name});
    }
    return consequences(spi);
}

std::vector<Action> map_column(pg::Spi &spi, const std::string &table, const std::string &canonical,
                               const pg::Text &expression) {
    const Site site(spi);
    const std::string ext = site.extension_schema() + ".";
    if (!site.is_canonical(table, canonical))
        throw pg::Error(ERRCODE_UNDEFINED_OBJECT,
                        "\"" + canonical + "\" is not a canonical column of a table \"" + table + "\"", {},
                        "SELECT table_name, canonical FROM wc_column_mapping lists them.");
    if (expression) {
        if (core::trim(*expression).empty())
            throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "a column mapping must not be empty", {},
                            "Give NULL to go back to the default, or 'NULL' for a column that the site does not have.");
        require_safe_mapping(site, table, *expression);
        spi.query("INSERT INTO " + ext +
                      "wc_site_mapping (table_name, canonical, expression) VALUES ($1, $2, $3)"
                      " ON CONFLICT (table_name, canonical) DO UPDATE SET expression = excluded.expression",
                  {table, canonical, expression});
    } else {
        spi.query("DELETE FROM " + ext + "wc_site_mapping WHERE table_name = $1 AND canonical = $2",
                  {table, canonical});
    }
    return consequences(spi);
}

} // namespace wc::schema
