// What the monitor knows of PgBouncer, in shared memory: written by it alone, read by all.
#pragma once

#include "core/pooler_ledger.hpp"
#include "pg/hooks.hpp"

namespace wc::monitor::pooler {

// The answer's age, beyond which it is no longer the present, is told by a clock that setting the time does not move.
struct State {
    bool connected;          // it has answered, and the connection stands
    TimestampTz since;       // from when on it is so; 0: it was not looked for yet
    TimestampTz answered_at; // the last answer; 0: none yet
    int64 answered;          // the same moment in nanoseconds of the steady clock
    uint64 failures;         // to connect, or to answer; and connections lost
    TimestampTz failed_at;   // the last one; 0: none yet
    char error[256];         // what it was; empty: none yet
};

// Makes the shared memory. Called once, by init().
void make_board();

// For the monitor, which nobody else writes besides.
const State &state();
const core::pooler::Ledger &ledger();
void put(const State &state);
void put(const State &state, const core::pooler::Ledger &ledger);

// For the others: a copy of either, taken together. Allocates before it locks.
struct Copy {
    State state;
    core::pooler::Ledger ledger;
};
std::unique_ptr<Copy> copy();

} // namespace wc::monitor::pooler
