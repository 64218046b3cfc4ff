// The layout of live mode's shared memory, for the two files that work on it: live_board (sessions) and live_slots (the
// launcher and what it starts).
#pragma once

#include "pg/locked.hpp"
#include "refresh/live_board.hpp"

extern "C" {
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
}

namespace wc::refresh::live::board {

// Read and written under the lock, but for the atomics, which a committing session reads and sets without it.
struct Slot {
    pg_atomic_uint32 database;
    pg_atomic_uint32 process;      // number of the worker's PGPROC plus one; 0: none
    pg_atomic_uint64 behind_since; // see Status; 0: none
    pg_atomic_uint32 doubt;        // not 0: since then something that the change log can't tell
    bool wanted;
    bool asked_to_leave;
    bool again; // asked for while it was leaving
    int holds;
    int pid;
    int failures; // in a row, of the whole process
    State state;
    TimestampTz since;
    TimestampTz serving_since; // what behind_since was when the worker took it
    TimestampTz next_moment;
    TimestampTz retry_at;
    int sqlstate;
    ConditionVariable gone;
};

struct Board {
    LWLock *lock;
    pg_atomic_uint32 launcher; // as Slot::process
    bool survey_asked;
    uint32 surveys;
    bool on_by_default;
    int count;
    Slot slots[FLEXIBLE_ARRAY_MEMBER];
};

extern Board *memory; // null: the library was not loaded at server start

// All but wake_process() and find() need the lock.

// Sets the latch of a process. It may have gone meanwhile: then this wakes nobody, or whoever came after it, for
// nothing.
void wake_process(pg_atomic_uint32 &process);

Slot *find(Oid database);         // null: it has none
Slot *find_or_take(Oid database); // null: all are in use
void set_state(Slot &slot, State state);
void count_failure(Slot &slot, State state);
void stop_counting(Slot &slot); // of failures: it may start at once
void forget_if_unused(Slot &slot);
Status status_of(Slot &slot);

TimestampTz earlier(TimestampTz a, TimestampTz b); // 0: none

} // namespace wc::refresh::live::board
