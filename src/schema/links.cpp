// Links: what has DROP EXTENSION remove the objects of ours.
#include "schema/operations.hpp"

#include "pg/membership.hpp"
#include "pg/relation.hpp"

namespace wc::schema {

void link(const State &state) {
    pg::link(state.class_id, state.oid);
    // The server drops a partition's constraint with its parent's in ALTER TABLE only, not through dependencies; one
    // that is left alone could never be dropped, because it counts as inherited.
    for (const Oid constraint : state.inherited)
        pg::link(state.class_id, constraint);
}

void finish_constraint(pg::Spi &spi, const Site &site, State &state) {
    const Oid table = site.table(state.wanted.table)->relid;
    const std::string name = pg::quote_name(state.wanted.name);
    state.oid = pg::find_constraint(table, state.wanted.name);
    state.inherited.clear();
    for (auto &row : spi.query("WITH RECURSIVE child AS ("
                               "  SELECT inhrelid AS oid FROM pg_catalog.pg_inherits WHERE inhparent = $1::oid"
                               "  UNION"
                               "  SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i"
                               "    JOIN child AS c ON c.oid = i.inhparent)"
                               "SELECT k.oid FROM child AS c JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid"
                               " WHERE k.contype = 'c' AND k.coninhcount > 0 AND k.conname = $2",
                               {std::to_string(table), state.wanted.name})
                         .rows)
        state.inherited.push_back(pg::oid_of(row[0]));
    link(state);
    spi.query("COMMENT ON CONSTRAINT " + name + " ON " + site.qualified(state.wanted.table) + " IS " +
              pg::quote_value(state.wanted.comment));
}

void relink(pg::Spi &spi) {
    const Site site(spi);
    for (const auto &state : inspect(spi, site))
        if (state.ours() && !state.linked)
            link(state);
}

} // namespace wc::schema
