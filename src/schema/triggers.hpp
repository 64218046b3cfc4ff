// The triggers that capture changes: what a base table ought to have, what it has, and making one into the other.
// Private to the room.
#pragma once

#include "schema/operations.hpp"

namespace wc::schema {

// Adds the object of each base table that a view reads, or that has triggers of ours, to the definitions. Nothing where
// the extension's version knows no capture.
void add_triggers(pg::Spi &spi, const Site &site, std::vector<Definition> &out);

// What there is of all of them, by the canonical name of the table.
std::map<std::string, std::vector<Trigger>> present_triggers(pg::Spi &spi, const Site &site,
                                                             const std::vector<Definition> &wanted);

// Fills a state in from what there is.
enum class Likeness {
    other,
    incomplete,
    same
}; // another definition; the same one, with something missing or switched off
Likeness compare_triggers(State &state, const std::vector<Trigger> &present);

// Takes away all that is there.
void drop_triggers(pg::Spi &spi, const State &state);

// The lock that making a state's triggers what they ought to be needs on the table: writers wait. Dropping needs more.
LOCKMODE trigger_lock(const State &state);

// Makes what is missing, replaces what is different, switches on what is off, and with extra drops what ought not to be
// there.
void make_triggers(pg::Spi &spi, const Site &site, const State &state, bool extra);

// Switches the triggers that keep replicated rows out of the extension's own tables on, where a data-only restore has
// switched them off.
void restore_guards(pg::Spi &spi);

} // namespace wc::schema
