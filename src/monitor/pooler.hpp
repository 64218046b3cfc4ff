// PgBouncer, watched: its pools as it told them last, and what has come together since the server started. The monitor
// asks its console again and again, and never waits for it; what it is told is in shared memory, of fixed size.
#pragma once

#include "pg/duty.hpp"
#include "pg/prelude.hpp"

namespace wc::monitor::pooler {

// Called once, by the room's init(), while the server loads the library at its start.
void init();

// What the monitor does for it.
std::unique_ptr<pg::Duty> duty();

// How a pool was in the last answer.
struct Present {
    int64 clients_active = 0;
    int64 clients_waiting = 0;
    int64 servers_active = 0;
    int64 servers_idle = 0;
    int64 servers_used = 0;
    double maxwait_ms = 0;
    std::optional<int64> pool_size;            // empty: not told
    std::optional<double> utilisation_percent; // the same; above 100 where a reserve is used
};

// Totals of a database, of all its pools, from the first answer on.
struct DatabaseTotals {
    uint64 transactions = 0;
    uint64 queries = 0;
    double wait_ms = 0;
};

// Names are as PgBouncer has them, bytes of any encoding.
struct Pool {
    std::string database;
    std::string user;
    std::optional<Present> present; // empty: the pooler doesn't answer, or has no such pool any more
    uint64 waits = 0;               // answers in which clients were waiting
    double longest_wait_ms = 0;
    std::optional<DatabaseTotals> of_database;
};

struct Status {
    bool configured = false;
    bool connected = false;      // it has answered lately, and the connection stands
    TimestampTz since = 0;       // from when on it is, or is not; 0: it was not looked for yet
    TimestampTz last_answer = 0; // 0: none yet
    uint64 answers = 0;          // since the server started
    uint64 failures = 0;         // the same
    TimestampTz last_failure = 0;
    std::string last_error; // without a secret; empty: none yet
    int64 pools = 0;        // in the last answer; 0 where it is not connected, as are the next four
    int64 pools_left_out = 0;
    int64 clients_active = 0; // of all pools, those left out included
    int64 clients_waiting = 0;
    int64 servers_active = 0;
};

struct Sample {
    Status status;
    std::vector<Pool> pools; // by database and user
};

// What is known now. Nothing of it is configured where whitecross.pgbouncer_conninfo is empty. For whoever may see all;
// in any process of the server. Throws 55000 where the library is not preloaded.
Sample sample();

} // namespace wc::monitor::pooler
