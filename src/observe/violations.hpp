// Violations of constraints, counted as the server reports them: for each constraint how many in each minute of the
// last day, in shared memory of fixed size. Kept of an error are its SQLSTATE and the names of objects that the
// server's own code gave it; neither the row nor a value.
#pragma once

#include "pg/hooks.hpp"

namespace wc::observe::violations {

// What was violated. Its name (see name()) is what SQL shows.
enum class Kind : int {
    All, // the sum of a database, with what was evicted
    Check,
    Unique,
    ForeignKey,
    NotNull,
    Exclusion,
    Other, // of SQLSTATE class 23 too
};

const char *name(Kind kind);

struct Violated {
    Kind kind = Kind::All;
    std::string table;      // qualified and quoted; empty: the error names none
    std::string constraint; // as SQL shows it; empty: the error names none
    uint64 last_hour = 0;
    uint64 last_day = 0;
    uint64 total = 0;
    TimestampTz last_seen = 0; // 0: never
};

struct Info {
    int constraints = 0; // that the table holds, of all databases
    int most = 0;        // that it has room for
    uint64 evicted = 0;  // since the server's start, of all databases
    TimestampTz since = 0;
};

// Subscribes to errors, where the server loads the library at its start. Called once, by observe::init().
void init();

// The constraints of this database that were violated, and first of all their sum. Throws 55000 where the library is
// not preloaded.
std::vector<Violated> list();

// The sums of all databases in which there were any. Throws 55000.
struct Sum {
    Oid database = InvalidOid;
    uint64 last_hour = 0;
};
std::vector<Sum> sums();

// "ok", "warning" or "critical", by whitecross.violations_warning and violations_critical.
const char *level(uint64 last_hour);

// Of the table. Since: from when on the sum of this database counts. Throws 55000.
Info info();

// Forgets those of this database. Returns how many constraints it forgot. Throws 55000.
int reset();

} // namespace wc::observe::violations
