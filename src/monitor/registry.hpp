// The databases of the server that have the extension, and how they are: in shared memory, kept by the monitor (see
// health_duty.cpp), read by any process. Templates are not among them.
#pragma once

#include "core/health.hpp"
#include "pg/hooks.hpp"

namespace wc::monitor::registry {

constexpr size_t most = 256; // databases
constexpr size_t most_failing = 1024;

// Why a database can't be checked where there is no process to do it.
constexpr const char *no_process = "no background worker was free (max_worker_processes)";

// Trivial: it goes through shared memory.
struct Database {
    Oid oid;
    char version[32]; // of the extension in it
    core::Health health;
    TimestampTz last_check;     // when it was checked last; 0: not yet
    TimestampTz last_failure;   // when a check of it failed last; 0: none has
    int64 duration_ms;          // of the last check
    char failing[most_failing]; // names of the checks that were critical then, one a line
    char reason[128];           // why the last check failed, in words without values; empty: it didn't
    TimestampTz unchecked;      // when it could not be checked since then; 0: it could
    char why_unchecked[128];    // why not
};

// Makes the shared memory, and has sessions say when a database may have got the extension or lost it. Once, by the
// room's init(), while the server loads the library at its start.
void init();

// ---- Any process, where the library is preloaded; no transaction is needed.

// The databases that have the extension, as far as they have been looked at, in the order of their OIDs.
std::vector<Oid> with_extension();

// What is known of one; nothing where it hasn't the extension, hasn't been looked at yet, or found no room.
std::optional<Database> find(Oid database);

// How many of them found no room.
int left_out();

// Since when there has been no process to look into a database; 0: there was one the last time.
TimestampTz without_process();

// ---- The monitor.

// What sessions have asked for since it was asked last.
struct Asked {
    bool survey = false;        // databases may have come, gone or changed
    bool all = false;           // all are to be looked at
    std::vector<Oid> databases; // else these, in their order
};

void be_monitor(); // from now on this process is woken
Asked take_asked();

// Puts one in, or in the place of what is known of it. False where there is no room.
bool put(const Database &database);
void forget(Oid database);
void note_left_out(int databases);
void note_process(bool there);

} // namespace wc::monitor::registry
