// What can be done to managed objects. Each returns what it did, one row for each object touched or refused.
#pragma once

#include "schema/schema.hpp"
#include "schema/state.hpp"

namespace wc::schema {

struct Action {
    std::string kind;
    std::string name;
    std::string table;
    std::string
        action; // created, rebuilt, validated, adopted, linked, filled, dropped, kept, pending, conflict, outdated
    std::string reason;
};

// The rows of what wc_install() and its kin did: kind, name, table_name, action, reason.
Datum return_actions(FunctionCallInfo fcinfo, const std::vector<Action> &actions);

// Makes what is missing of a kind (empty: of all), rebuilds what is outdated and has no dependents, links again what
// lost its link. What can't be made is reported and remembered as pending, never an error.
std::vector<Action> install(pg::Spi &spi, const std::optional<std::string> &kind);

// The same for what is chosen. function: who asks, for the message where another session is at it.
using Choice = std::function<bool(const Definition &)>;
std::vector<Action> install_chosen(pg::Spi &spi, const char *function, const Choice &chosen);

// Takes away what install() made, of a kind or all; leaves what was adopted, and views that others depend on.
std::vector<Action> retire(pg::Spi &spi, const std::optional<std::string> &kind);

// Takes the views away for a migration of the application; their grants are remembered and install() gives them again.
std::vector<Action> suspend_views(pg::Spi &spi);

// Switches an object off (and takes it away if it is ours), or on again. Throws 42704 for an unknown name.
std::vector<Action> set_disabled(pg::Spi &spi, const std::string &name, bool disabled);

// Violations of one CHECK constraint.
struct Verdict {
    std::string constraint;
    std::string table;
    pg::Text violations; // empty: the rule can't be applied here
    bool validated = false;
};
// Counts the violations of every constraint; installs and validates those without any.
std::vector<Verdict> validate(pg::Spi &spi);
// Puts a constraint in as NOT VALID whatever rows there are. Throws 42704 (unknown), 55000 (not applicable).
std::vector<Action> enforce(pg::Spi &spi, const std::string &constraint);
// The rows that violate a constraint.
struct Breaches {
    std::string table;
    std::vector<std::string> keys; // JSON objects of the primary key's columns (ctid without one)
};
// Throws as enforce(), and what the caller may not read or what can't be evaluated, without the server's text.
Breaches breaches(pg::Spi &spi, const std::string &constraint);

// Sets a configuration value (empty: back to the default) and returns the objects that wc_install() will rebuild or
// make. Throws 42704 for an unknown name, 22023 for a value that can't be, 55000 for base_schema while objects are
// installed.
std::vector<Action> configure(pg::Spi &spi, const std::string &name, const pg::Text &value);

// Maps a canonical column to an expression over the site's columns (empty: back to the default); as configure().
// Throws 42704 for a table or column that isn't canonical, 22023 for an expression that calls functions not built in,
// 42601, 42703 and the like where the server can't analyse it.
std::vector<Action> map_column(pg::Spi &spi, const std::string &table, const std::string &canonical,
                               const pg::Text &expression);

// Has DROP EXTENSION remove an object of ours, with what its table's partitions inherited of it.
void link(const State &state);
// What goes with a constraint that has just been made: its link and its comment.
void finish_constraint(pg::Spi &spi, const Site &site, State &state);
// Puts all lost links back. Called before what may drop the extension.
void relink(pg::Spi &spi);

// The same for what is chosen. reason: is remembered. keep_additions: what the site added to a view comes back with it.
std::vector<Action> drop_chosen(pg::Spi &spi, const char *function, const Choice &chosen, const std::string &reason,
                                bool keep_additions);

// Throws 22023 with the list of kinds for a kind that there isn't.
void require_kind(const std::string &kind);

// The state of one object. Throws 42704.
State find_state(pg::Spi &spi, const Site &site, const std::string &name);

// Remembers in wc_registry. Private to the room.
void remember(pg::Spi &spi, const Site &site, const State &state, bool made, const pg::Text &definition,
              const std::string &reason);
// A row of what was done to an object. Private to the room.
Action action_of(const State &state, const std::string &action, const std::string &reason = {});
// How many rows violate each of some constraints of one table, counted in one scan. Private to the room.
std::vector<std::string> count_violations(pg::Spi &spi, const Site &site, const std::string &table,
                                          const std::vector<const State *> &constraints);
// Throws where an expression of a column mapping isn't one expression, has a sub-select in it, or calls a function that
// isn't built in (42601, 0A000, 22023): it runs as the owner of a view. Without the table only its form can be checked.
void require_safe_mapping(const Site &site, const std::string &table, const std::string &expression);
// Throws 42501 where an expression over a table's columns would call a function that isn't built in: a user's type may
// bring casts of the user's own, and these statements run with the rights of the extension's owner.
void require_built_in(const Site &site, const std::string &table, const std::string &expression);
// Why a failed step failed: condition name, never the server's text (it may hold a row's values).
std::string failure_reason(const pg::Error &error);

} // namespace wc::schema
