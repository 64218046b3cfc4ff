// The alerts that are raised, and what is still to be told of them: one board in shared memory of fixed size. Whoever
// reads something reports it (reading.hpp); the monitor writes what follows to the log, and has short-lived workers
// notify whoever listens in the databases.
#pragma once

#include "core/alert.hpp"
#include "monitor/reading.hpp"
#include "pg/duty.hpp"
#include "pg/guard.hpp"

namespace wc::monitor::alerts {

// Called once, by the room's init(), while the server loads the library at its start.
void init();

// What SQL, the log, notifications and the runbook call it.
const char *name(Watched watched);

// One that is raised.
struct Raised {
    Reading reading; // the last one
    core::alert::State state;
    Source source;
    TimestampTz since;
    TimestampTz last_raised; // or repeated
};

// Something to be told. Trivial: it is kept in shared memory.
struct Told {
    uint64 number; // they are numbered from 1 as they happen
    Reading reading;
    core::alert::Event event;
    core::alert::Level level;
    double limit;
    TimestampTz since;
    TimestampTz at;
};

// --- For who looks. Throws 55000 where the library is not preloaded ---

// Those that the caller may see: of the server and of its own database any role, of others who has the rights of
// pg_read_all_stats; the worst first.
std::vector<Raised> list();

struct Status {
    int raised = 0;             // of all databases
    int most = 0;               // that there is room for
    uint64 refused = 0;         // readings that found no room, since the server's start
    TimestampTz refused_at = 0; // the last time; 0: never
    int untold = 0;             // notifications that this database still has to get
    uint64 lost = 0;            // notifications that it never got, because there were too many to keep
    TimestampTz told_at = 0;    // when it got the last one; 0: never
};

Status status();

// --- For the monitor ---

// Ends the alerts of databases that are not there any more. In the order of their OIDs.
void keep_only(const std::vector<Oid> &databases);

// What the log has not been told yet, from the first one on; it counts as told then.
std::vector<Told> take_for_log();

// How many alerts were not told to the log, because there were too many to keep, and readings that found no room; since
// the server's start.
struct Losses {
    uint64 unlogged = 0;
    uint64 refused = 0;
};
Losses losses();

// The databases that have something to be notified of, of those given (which have the extension; in the order of their
// OIDs). One that is new among them is told of the last minute.
std::vector<Oid> to_notify(const std::vector<Oid> &databases);

// Nothing that has happened so far is to be notified: on a standby it can't be.
void skip_notifications();

// --- For a worker in a database ---

// What its database is to be notified of.
std::vector<Told> for_database(Oid database);

// It has been, up to this number.
void notified(Oid database, uint64 number);

// --- Where they go ---

// One line, as core/alert_text.hpp has it. database: its name where the alert is of one; empty: of the server.
std::string line(const Told &told, const std::string &database);

// What a notification says, in the encoding of this database.
std::string json(const Told &told, const std::string &database);

// What the monitor does for it.
std::unique_ptr<pg::Duty> duty();

} // namespace wc::monitor::alerts
