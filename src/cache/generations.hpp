// What was written when: a generation for each table, and for what names and functions mean, in shared memory. All that
// makes the result of a query is a set of cells; as long as none of them has moved the result is what it was.
//
// The order of events that makes a cached result right:
//   filling: moment(), and only then invalidation messages are accepted, the query analysed and planned, its snapshot
//            taken; it is run; note() each cell with that moment, and where one of them fails nothing is stored.
//   hitting: usable(), invalidation messages are accepted, tables locked, permissions checked, and last unchanged().
// A transaction that has written marks its cells before it is visible to anybody, and moves them afterwards, before its
// client is told that it has committed (writers.cpp, prepared.cpp). While marked, a cell neither notes nor is
// unchanged.
#pragma once

#include "pg/prelude.hpp"

#include <array>

namespace wc::cache {

// A cell that a result depends on, and its generation as the result was made.
struct Dependency {
    uint32 cell;
    uint64 generation;
};

} // namespace wc::cache

namespace wc::cache::generations {

// Subscribes to transactions' ends and asks for the shared memory. Once, in _PG_init, while the server starts.
void init();

// Where there is no shared memory, or whitecross.cache_entries is 0, nothing can be noted, and nothing is unchanged.

// The clock now: what moves later gets a generation higher than this.
uint64 moment() noexcept;

// The cells that results depend on. database: InvalidOid for catalogues that all databases share.
uint32 cell_of(Oid database, Oid relation) noexcept; // a table, view or composite type's relation: rows and definition
uint32 rules_cell(Oid database) noexcept; // what else a result may follow from: functions, operators, enums, collations
uint32 names_cell(Oid database) noexcept; // what a name means, and who may do what
uint32 everything_cell() noexcept;        // moved where too much was written to be listed: every result depends on it

// For a store: the cell as it is, or false where it has moved after `since` or is about to.
bool note(uint32 cell, uint64 since, Dependency &out) noexcept;

// For a hit: whether none of them has moved since it was noted, nor is about to. Takes no lock.
bool unchanged(const Dependency *noted, size_t count) noexcept;

// Whether generations can be relied on: there is shared memory, the server is no standby, and what was prepared before
// it started is known. Settles prepared transactions that are over. Call it before each use of the cache, in a
// transaction, never under a lock. Throws.
bool usable();

// Moves a cell at once, in no transaction's name: for who wants results to go.
void move(uint32 cell) noexcept;

// What the transaction that runs now has done, and other sessions don't see. Where it has written what a query reads,
// or may have changed the catalogue, neither may a result be taken from the cache nor one be put there.
struct OwnWrites {
    bool catalogue = false;
    bool too_many = false; // to be listed: any table may be one
    size_t count = 0;
    std::array<Oid, 256> tables;
    bool none() const { return !catalogue && !too_many && count == 0; }
    bool wrote(Oid table) const;
};
OwnWrites own_writes() noexcept;

// How many prepared transactions hold cells marked, of all databases: what they have written can't be cached until they
// are committed or rolled back. 0 where there is no shared memory.
uint32 held_by_prepared() noexcept;

} // namespace wc::cache::generations
