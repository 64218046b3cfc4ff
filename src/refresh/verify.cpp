// Whether a view holds what its definition says.
#include "refresh/verify.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "pg/transaction.hpp"
#include "refresh/facts.hpp"
#include "refresh/moment.hpp"
#include "refresh/perform.hpp"

namespace wc::refresh {

namespace {

// Both numbers in one pass over the definition.
std::string comparison(const schema::View &view, const std::string &definition) {
    const std::string contents = "SELECT * FROM " + view.qualified();
    return "WITH d AS MATERIALIZED (" + definition +
           ") SELECT (SELECT pg_catalog.count(*) FROM (SELECT * FROM d EXCEPT ALL " + contents +
           ") AS m), (SELECT pg_catalog.count(*) FROM (" + contents + " EXCEPT ALL SELECT * FROM d) AS e)";
}

} // namespace

Verdict verify(const schema::View &view) {
    const Settings settings(pg::settings::lock_timeout);
    // The snapshot comes after the lock: a REFRESH that is committed is in it, or its rows would be seen too early.
    const pg::Relation locked(view.relid, AccessShareLock);
    const Facts found = facts(view.relid);
    Moment moment;
    pg::Spi spi;
    const std::string schema = pg::quote_name(pg::extension_schema());
    Verdict out;
    const auto state = spi.read("SELECT s.clock, s.consumed, s.plan ->> 'tables' FROM " + schema +
                                    ".wc_view_state AS s WHERE s.view_name = $1 AND s.relfilenode = "
                                    "pg_catalog.pg_relation_filenode($2::pg_catalog.oid) AND s.clock IS NOT NULL",
                                {view.name, std::to_string(view.relid)})
                           .rows;
    if (!state.empty()) {
        moment.set_clock(*state[0][0]);
        if (state[0][1])
            out.pending = std::stoll(*spi.read("SELECT pg_catalog.count(*) FROM " + schema + ".wc_change AS c WHERE " +
                                                   schema::pending_condition("$1::pg_snapshot") +
                                                   " AND c.table_name = ANY (pg_catalog.string_to_array($2, ','))",
                                               {state[0][1], state[0][2]})
                                          .rows[0][0]);
    }
    if (!found.populated)
        return out;
    const auto definition = spi.read("SELECT " + schema + ".wc_view_query($1)", {view.name}).rows;
    const std::string sql = comparison(view, definition[0][0].value_or(""));
    // The server's own message may hold a row's values: what is raised instead names the condition alone.
    const auto failure = pg::attempt([&] {
        const pg::UserScope owner(found.owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
        const auto counts = spi.read(sql).rows;
        out.missing = std::stoll(*counts[0][0]);
        out.extra = std::stoll(*counts[0][1]);
    });
    if (failure)
        throw pg::Error(failure->sqlstate(), pg::condition_name(failure->sqlstate()) + " while verifying " + view.name);
    return out;
}

} // namespace wc::refresh
