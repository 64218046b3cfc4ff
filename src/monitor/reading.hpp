// What alerts are made of: a number that was read, with the limits it is held against. Whoever reads it says it again
// and again; what is new in that, what is to be told and what is over is found out where alerts are kept (alerts.hpp).
#pragma once

#include "pg/prelude.hpp"

namespace wc::monitor {

// What a number is of. Its name (see alerts::name) is what SQL, the log, notifications and the runbook call it. The
// limits are settings; see alerts::reading().
enum class Watched : uint8 {
    Connections,        // percent of the connections of the server that are taken; subject: server
    ConnectionsWaiting, // sessions that wait for a lock; subject: server
    PoolerConnections,  // percent of a pool of PgBouncer that is taken; subject: database/user
    PoolerWaiting,      // clients that wait for a connection of a pool; subject: database/user
    PoolerDown,         // PgBouncer is configured and doesn't answer: 1, else 0; subject: pooler
    Unhealthy,          // of a database: its health checks failed three times in a row: 1, else 0; subject: database
    Violations,         // of constraints of a database, in the last hour; subject: database
    SlowQueries,        // of a database, in the last minute; subject: database
    NPlusOne,           // bursts of a database, in the last minute; subject: database
    ViewAge,            // of a view, in times of its schedule's interval; subject: view, as SQL writes its name
    RefreshFailed,      // refreshes of a view that failed in a row, since the last one that didn't; subject: view
    ChangeLog,          // percent of whitecross.change_log_limit that wc_change has; subject: database
    TransactionIdAge,   // age(datfrozenxid) of a database, which is the whole server's trouble; subject: database
    ReplicationLag,     // seconds; subject: the standby's application_name, a slot's name, or standby
};

// Trivial: it goes through shared memory.
struct Reading {
    Watched name;
    char subject[2 * NAMEDATALEN + 8]; // names only, never a value of a row
    int encoding;                      // of the subject: that of the database it was read in
    Oid database;                      // InvalidOid: the server
    double value;
    double warning;  // raised when the value is above it; negative: never
    double critical; // the same
};

// Who says it. What a source has said of a database and says no more is over.
enum class Source : uint8 {
    Monitor,  // what the monitor reads itself: of the server, and of databases as far as it can without a connection
    Health,   // the verdict on the health of a database, which outlives a probe that failed
    Database, // what a probe has read inside a database
};

namespace alerts {

// A reading with the limits as the settings of this process have them. A subject too long is cut.
Reading reading(Watched name, Oid database, const std::string &subject, double value);

// Takes in all that a source has to say of a database (InvalidOid: of the server) now. Raises, repeats and clears what
// follows; the monitor tells it. In any process of the server; does nothing where the library is not preloaded. Never
// throws for want of room: what finds none is counted, and said.
void report(Source source, Oid database, const std::vector<Reading> &readings);

} // namespace alerts

} // namespace wc::monitor
