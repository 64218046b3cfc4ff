// Fills in flight: of several sessions that want the same missing entry, one computes it, and the others wait for it,
// for whitecross.cache_wait at most.
#pragma once

#include "cache/store.hpp"

namespace wc::cache::fills {

enum class Turn {
    Mine,   // nobody computes it: run the query, and end_turn()
    Waited, // somebody did, and is done: look again; where it still isn't there, run the query
    Alone,  // run the query without a turn: waiting took too long, this session has a turn already, or there is no
            // memory
};

// Waits at most once: to be called once for each entry that is missed. Throws Error where the statement is cancelled.
// Counts waits.
Turn take_turn(const Digest &digest);

// Ends this session's turn, if it has one, and wakes those who wait. What ends a turn besides: the end of the
// (sub)transaction that it was taken in, and of the process.
void end_turn() noexcept;

// How many are in flight, of all sessions.
int in_flight() noexcept;

// Its shared memory and subscriptions. Called once, by cache::init().
void init();

} // namespace wc::cache::fills
