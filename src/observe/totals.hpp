// What statements have come to since the server's start, by database: counts that only grow, whatever patterns are
// evicted or reset elsewhere. That is what a counter of a monitoring system has to be.
#pragma once

#include "pg/guard.hpp"

namespace wc::observe::totals {

// Subscribes to the server's start. Called once, by observe::init().
void init();

struct Counts {
    uint64 calls;    // executions that ended well; time and rows are of these
    uint64 failures; // executions that ended with an error, cancelled ones too
    uint64 total_ns; //
    uint64 rows;     //
};

// --- Where statements end: plain server code without a lock, that neither allocates nor raises ---

// Adds to those of this session's database.
void add(const Counts &counts) noexcept;

// A slow statement of this session's database.
void add_slow() noexcept;

// A burst of a statement (N+1) of a database, and that it was none. What is taken back lowers no count: the next burst
// of the database is not counted instead.
void add_burst(Oid database) noexcept;
void retract_burst(Oid database) noexcept;

// --- For who looks ---

struct Total {
    Oid database; // InvalidOid: all that have no place of their own
    Counts counts;
    uint64 slow;
    uint64 bursts;
};

// A total for each database in which a statement has ended, at most 50, and the last one for the others. A database
// that was dropped keeps its place until the server starts again. Throws 55000 where the library is not preloaded.
std::vector<Total> list();

} // namespace wc::observe::totals
