// What a site adds to a materialized view, grants and indexes: nothing by default, and the same as before when it is
// made anew.
#include "schema/operations.hpp"
#include "schema/views.hpp"

#include "pg/transaction.hpp"

namespace wc::schema {

void revoke_defaults(pg::Spi &spi, const Site &site, const State &state) {
    for (auto &row : spi.query("SELECT DISTINCT CASE WHEN g.grantee = 0 THEN 'PUBLIC'"
                               "                     ELSE pg_catalog.quote_ident(r.rolname) END"
                               "  FROM pg_catalog.pg_class AS c"
                               " CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS g"
                               "  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee"
                               " WHERE c.oid = $1::oid AND g.grantee <> c.relowner",
                               {std::to_string(state.oid)})
                         .rows)
        spi.query("REVOKE ALL ON " + site.qualified(state.wanted.name) + " FROM " + *row[0]);
}

namespace {

void remember_indexes(pg::Spi &spi, const Site &site, const State &state) {
    // Beside those that could not be made again the last time.
    spi.query(
        "UPDATE " + site.extension_schema() +
            ".wc_registry AS r SET indexes = (SELECT pg_catalog.array_agg(u.definition ORDER BY u.definition) FROM ("
            "  SELECT pg_catalog.unnest(r.indexes)"
            "  UNION"
            "  SELECT pg_catalog.pg_get_indexdef(c.oid)"
            "    FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid"
            "   WHERE i.indrelid = $1::oid AND c.relname NOT IN (SELECT d.name FROM " +
            site.catalogue().indexes +
            " AS d)) AS u(definition))"
            " WHERE name = $2",
        {std::to_string(state.oid), state.wanted.name});
}

void restore_indexes(pg::Spi &spi, const Site &site, const State &state) {
    const std::string registry = site.extension_schema() + ".wc_registry";
    for (auto &row : spi.query("SELECT u.e FROM " + registry +
                                   " AS r, pg_catalog.unnest(r.indexes) WITH ORDINALITY AS u(e, n)"
                                   " WHERE r.name = $1 ORDER BY u.n",
                               {state.wanted.name})
                         .rows) {
        // One that can't be made any more, of a column that is gone, must not keep the view away.
        const auto failure = pg::attempt([&] { spi.query(*row[0]); });
        if (!failure) {
            spi.query("UPDATE " + registry +
                          " SET indexes = nullif(pg_catalog.array_remove(indexes, $2), '{}') WHERE name = $1",
                      {state.wanted.name, row[0]});
            continue;
        }
        const std::string reason = failure_reason(*failure);
        const char *why = reason.c_str();
        const char *view = state.wanted.name.c_str();
        pg::call([=] {
            ereport(WARNING,
                    (errmsg("an index that was added to \"%s\" could not be made again: %s", view, why),
                     errhint("Its definition stands in the column \"indexes\" of wc_registry, row \"%s\".", view)));
        });
    }
}

void remember_grants(pg::Spi &spi, const Site &site, const State &state) {
    // A grantor other than the owner, who has the grant option, is remembered too: REVOKE ... CASCADE follows grantors.
    spi.query("UPDATE " + site.extension_schema() +
                  ".wc_registry SET grants = ("
                  "  SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('column', g.attname, 'role', r.rolname,"
                  "           'privilege', g.privilege_type, 'grantable', g.is_grantable,"
                  "           'grantor', CASE WHEN g.grantor <> v.relowner THEN o.rolname END))"
                  "    FROM (SELECT NULL::name AS attname, a.* FROM pg_catalog.pg_class AS c,"
                  "                 pg_catalog.aclexplode(c.relacl) AS a WHERE c.oid = $1::oid"
                  "          UNION ALL"
                  "          SELECT t.attname, a.* FROM pg_catalog.pg_attribute AS t,"
                  "                 pg_catalog.aclexplode(t.attacl) AS a WHERE t.attrelid = $1::oid) AS g"
                  "    JOIN pg_catalog.pg_class AS v ON v.oid = $1::oid"
                  "    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee"
                  "    LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = g.grantor"
                  "   WHERE g.grantee <> v.relowner AND (g.grantee = 0 OR r.oid IS NOT NULL))"
                  " WHERE name = $2",
              {std::to_string(state.oid), state.wanted.name});
}

void restore_grants(pg::Spi &spi, const Site &site, const State &state) {
    const std::string registry = site.extension_schema() + ".wc_registry";
    std::vector<pg::Row> waiting =
        spi.query(
               "SELECT pg_catalog.format('GRANT %s%s ON %s TO %s%s', g.privilege,"
               "         CASE WHEN g.\"column\" IS NULL THEN ''"
               "              ELSE pg_catalog.format(' (%I)', g.\"column\") END, $2,"
               "         CASE WHEN g.role IS NULL THEN 'PUBLIC' ELSE pg_catalog.quote_ident(g.role) END,"
               "         CASE WHEN g.grantable THEN ' WITH GRANT OPTION' ELSE '' END),"
               "       o.oid"
               "  FROM " +
                   registry +
                   " AS r, pg_catalog.jsonb_to_recordset(r.grants)"
                   "         AS g(\"column\" text, role text, privilege text, grantable boolean, grantor text)"
                   "  LEFT JOIN pg_catalog.pg_roles AS o ON o.rolname = g.grantor"
                   " WHERE r.name = $1"
                   "   AND (g.role IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_roles AS p WHERE p.rolname = g.role))"
                   "   AND (g.\"column\" IS NULL OR EXISTS ("
                   "          SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attname = g.\"column\""
                   "             AND a.attrelid = $2::regclass AND NOT a.attisdropped))"
                   " ORDER BY g.grantor IS NOT NULL",
               {state.wanted.name, site.qualified(state.wanted.name)})
            .rows;
    // A grantor can grant once he has his own grant option: in as many rounds as the longest chain has links.
    for (bool progress = true; progress && !waiting.empty();) {
        std::vector<pg::Row> refused;
        for (auto &row : waiting) {
            const bool by_owner = !row[1];
            const auto failure = pg::attempt([&] {
                std::optional<pg::UserScope> grantor;
                if (!by_owner)
                    grantor.emplace(pg::oid_of(row[1]), SECURITY_LOCAL_USERID_CHANGE);
                spi.query(*row[0]);
            });
            if (failure && by_owner)
                throw *failure;
            if (failure)
                refused.push_back(std::move(row));
        }
        progress = refused.size() < waiting.size();
        waiting = std::move(refused);
    }
    for (auto &row : waiting) // from a grantor who has no right any more: then from the owner
        spi.query(*row[0]);
    spi.query("UPDATE " + registry + " SET grants = NULL WHERE name = $1", {state.wanted.name});
}

} // namespace

void remember_additions(pg::Spi &spi, const Site &site, const State &state) {
    remember_grants(spi, site, state);
    remember_indexes(spi, site, state);
}

void restore_additions(pg::Spi &spi, const Site &site, const State &state) {
    restore_grants(spi, site, state);
    restore_indexes(spi, site, state);
}

} // namespace wc::schema
