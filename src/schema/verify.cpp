// Rows against rules: wc_validate(), wc_enforce(), wc_breaches().
#include "schema/operations.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "pg/transaction.hpp"

namespace wc::schema {

namespace {

// The rule must be one of the catalogue's constraints, and applicable here.
State require_constraint(pg::Spi &spi, const Site &site, const std::string &name) {
    State state = find_state(spi, site, name);
    if (!state.wanted.is_constraint())
        throw pg::Error(ERRCODE_WRONG_OBJECT_TYPE, "\"" + name + "\" is not a check constraint", {},
                        "SELECT name FROM wc_objects() WHERE kind = 'check constraint' lists them.");
    if (!state.wanted.applicable())
        throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "constraint \"" + name + "\" can't be applied here",
                        "The reason: " + state.wanted.not_applicable + state.wanted.missing + ".");
    return state;
}

} // namespace

std::vector<std::string> count_violations(pg::Spi &spi, const Site &site, const std::string &table,
                                          const std::vector<const State *> &constraints) {
    // A CHECK is violated where it is false; NULL passes.
    std::string sql;
    for (const State *state : constraints)
        require_built_in(site, table, state->wanted.expression);
    for (const State *state : constraints)
        sql += (sql.empty() ? "SELECT " : ", ") + std::string("count(*) FILTER (WHERE (") + state->wanted.expression +
               ") IS FALSE)";
    const pg::Result result = spi.query(sql + " FROM " + site.qualified(table));
    std::vector<std::string> counts;
    for (const auto &count : result.rows.front())
        counts.push_back(count.value_or("0"));
    return counts;
}

std::vector<Verdict> validate(pg::Spi &spi) {
    (void)install(spi, std::string("check constraint")); // installs and validates those that no row violates
    const Site site(spi);
    std::map<std::string, std::vector<const State *>> by_table;
    const std::vector<State> states = inspect(spi, site);
    for (const State &state : states)
        if (state.wanted.is_constraint() && state.wanted.applicable())
            by_table[state.wanted.table].push_back(&state);
    std::map<std::string, std::string> violations;
    for (const auto &[table, constraints] : by_table) {
        std::vector<std::string> counts;
        const auto failure = pg::attempt([&, &table = table, &constraints = constraints] {
            counts = count_violations(spi, site, table, constraints);
        });
        for (size_t i = 0; i < constraints.size() && !failure; ++i)
            violations[constraints[i]->wanted.name] = counts[i];
    }
    std::vector<Verdict> verdicts;
    for (const State &state : states) {
        if (!state.wanted.is_constraint())
            continue;
        Verdict verdict;
        verdict.constraint = state.wanted.name;
        verdict.table = state.wanted.table;
        if (const auto found = violations.find(state.wanted.name); found != violations.end())
            verdict.violations = found->second;
        verdict.validated = (state.status == Status::installed || state.status == Status::adopted) && state.validated;
        verdicts.push_back(std::move(verdict));
    }
    return verdicts;
}

std::vector<Action> enforce(pg::Spi &spi, const std::string &constraint) {
    const Site site(spi);
    State state = require_constraint(spi, site, constraint);
    if (state.status == Status::installed || state.status == Status::adopted)
        return {};
    if (state.status == Status::conflict)
        throw pg::Error(ERRCODE_DUPLICATE_OBJECT, "another constraint is named \"" + constraint + "\"", {},
                        "Rename or drop it, and try again.");
    pg::SettingScope settings;
    settings.set("lock_timeout", std::to_string(pg::settings::lock_timeout).c_str());
    const std::string alter = "ALTER TABLE " + site.qualified(state.wanted.table) + " ";
    if (state.exists())
        spi.query(alter + "DROP CONSTRAINT " + pg::quote_name(constraint));
    spi.query(state.wanted.sql + " NOT VALID");
    finish_constraint(spi, site, state);
    spi.query("UPDATE " + site.extension_schema() + ".wc_registry SET disabled = false WHERE name = $1", {constraint});
    remember(spi, site, state, true, state.wanted.sql, {});
    return {action_of(state, "created", "not valid: rows that violate it stay until they are mended")};
}

Breaches breaches(pg::Spi &spi, const std::string &constraint) {
    const Site site(spi);
    const State state = require_constraint(spi, site, constraint);
    const std::string table = site.qualified(state.wanted.table);
    const std::string alias = pg::quote_name(state.wanted.table);
    const std::string key =
        spi.value("SELECT string_agg(pg_catalog.format('%L, %s.%I', a.attname, $2, a.attname), ', ' ORDER BY k.n)"
                  "  FROM pg_catalog.pg_index AS i"
                  "  CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)"
                  "  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
                  " WHERE i.indrelid = $1::oid AND i.indisprimary",
                  {std::to_string(site.table(state.wanted.table)->relid), alias})
            .value_or("'ctid', " + alias + ".ctid");
    Breaches found;
    found.table = state.wanted.table;
    const auto failure = pg::attempt([&] {
        for (auto &row : spi.query("SELECT pg_catalog.jsonb_build_object(" + key + ") AS k FROM " + table + " AS " +
                                   alias + " WHERE (" + state.wanted.expression + ") IS FALSE ORDER BY k")
                             .rows)
            found.keys.push_back(*row[0]);
    });
    if (failure) // the server's text could hold a row's value
        throw pg::Error(failure->sqlstate(), "cannot look for violations of \"" + constraint + "\"",
                        "The rows of table " + state.wanted.table + " could not be read: " + failure_reason(*failure) +
                            ".",
                        "See the mapping of the table's columns in wc_column_mapping, and the privileges of the role.");
    return found;
}

} // namespace wc::schema
