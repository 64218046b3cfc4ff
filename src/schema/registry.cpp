// What is remembered of managed objects, and what is said of them.
#include "schema/operations.hpp"

#include <algorithm>

namespace wc::schema {

std::string failure_reason(const pg::Error &error) {
    return pg::condition_name(error.sqlstate()) + " (" + pg::sqlstate_text(error.sqlstate()) + ")";
}

Action action_of(const State &state, const std::string &action, const std::string &reason) {
    return {state.wanted.kind, state.wanted.name, state.wanted.table, action, reason};
}

void remember(pg::Spi &spi, const Site &site, const State &state, bool made, const pg::Text &definition,
              const std::string &reason) {
    spi.query("INSERT INTO " + site.extension_schema() +
                  ".wc_registry AS r (name, kind, table_name, made, definition, reason)"
                  " VALUES ($1, $2, $3, $4::boolean, $5, $6)"
                  " ON CONFLICT (name) DO UPDATE SET made = excluded.made, definition = excluded.definition,"
                  "   reason = excluded.reason"
                  " WHERE (r.made, r.definition, r.reason)"
                  "   IS DISTINCT FROM (excluded.made, excluded.definition, excluded.reason)",
              {state.wanted.name, state.wanted.kind, state.wanted.table, made ? "true" : "false", definition,
               reason.empty() ? pg::Text{} : pg::Text{reason}});
}

void require_kind(const std::string &kind) {
    if (std::find(kinds().begin(), kinds().end(), kind) != kinds().end())
        return;
    std::string list;
    for (const auto &name : kinds())
        list += (list.empty() ? "" : ", ") + name;
    throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "unknown kind of managed object", {},
                    "The kinds are: " + list + ".");
}

} // namespace wc::schema
