// The cells that tell when a table was last written: how they lie in shared memory, and which of them is whose.
//
// A table's cell follows from its OID by a hash, so nothing is registered and nothing fills up. Two tables of one cell
// share their fate: the writes of either invalidate what was read from the other, which costs time and nothing else.
#pragma once

#include "pg/prelude.hpp"

extern "C" {
#include "port/atomics.h"
}

namespace wc::cache::generations {

// A reader takes the marks first, and the generation then; who moves a cell does it the other way round.
struct Cell {
    pg_atomic_uint64 generation; // the clock when it was last moved
    pg_atomic_uint32 marks;      // transactions that are about to be visible and have written it
};

constexpr uint32 table_cells = 16384;
constexpr uint32 database_cells = 1024; // apart from the tables', whose writes must not move them

// Where the kinds of cells begin.
constexpr uint32 rules_cells = table_cells;
constexpr uint32 names_cells = rules_cells + database_cells;
constexpr uint32 everything = names_cells + database_cells;
constexpr uint32 cells = everything + 1;

// Of the block of shared memory, and of its lock.
constexpr const char *block_name = "whitecross cache generations";

struct Board {
    LWLock *lock;
    pg_atomic_uint64 clock;   // counts the moves of all cells, so that no generation comes twice
    pg_atomic_uint32 ready;   // 0: what prepared transactions of before the start have written is not known yet
    pg_atomic_uint32 records; // of prepared transactions, in use
    pg_atomic_uint64 endings; // moves when a prepared transaction has been committed or rolled back
    Cell cell[cells];
};

// Null where the library was not loaded when the server started.
extern Board *board;

// Of a number of 64 bits, evenly spread: neighbouring OIDs get unrelated cells.
constexpr uint64 spread(uint64 value) {
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdULL;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ULL;
    value ^= value >> 33;
    return value;
}

constexpr uint32 table_cell(Oid database, Oid table) {
    return static_cast<uint32>(spread((static_cast<uint64>(database) << 32) | table) % table_cells);
}

constexpr uint32 database_cell(uint32 first, Oid database) {
    return first + static_cast<uint32>(spread(database) % database_cells);
}

} // namespace wc::cache::generations
