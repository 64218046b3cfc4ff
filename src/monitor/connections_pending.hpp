// Samples of connections that are in no file yet, as records in shared memory, and which file they are to be written
// to. One process writes: the monitor, or the postmaster at the end. Private to the connections.
#pragma once

#include "pg/guard.hpp"

namespace wc::monitor::connections::pending {

// Called once, while the server loads the library at its start.
void init();

struct State {
    int64 hour = 0;  // of the file; 0: there is none yet
    int64 place = 0; // how much of the file counts: the records follow that
    std::string records;
};

// As it is now, for any process.
State copy();

// ---- For the one that writes.

int64 hour();

// Adds the records of one sample. False where there is no room.
bool add(std::string_view records);

// Writes what there is to the file; false where there is nothing. Throws Error; then it stays.
bool write();

// Lets what there is go, unwritten. It is counted.
void drop();

// From here on it is another file, or another place of it. Only where there is nothing.
void begin(int64 hour, int64 place);

// How the last attempt to write went: 0, or an ERRCODE_ value.
void note_outcome(int sqlstate) noexcept;

struct Outcome {
    TimestampTz written_at = 0; // 0: not yet, in this run
    int sqlstate = 0;           // of the last attempt; 0: it went well
    int64 lost = 0;             // samples that were let go, in this run
};
Outcome outcome();

} // namespace wc::monitor::connections::pending
