// Commands that need a database for themselves, or what the extension has in one. Who keeps processes of ours in
// databases subscribes, and gives way before such a command runs: whoever runs it finds nobody of ours in his way.
#pragma once

#include "pg/hooks.hpp"

extern "C" {
#include "storage/condition_variable.h"
}

namespace wc::pg::claims {

enum class Claim {
    Database,  // DROP, a copy, a new name, another tablespace: nobody else may be connected to it
    Extension, // DROP or ALTER EXTENSION: no lock on what is the extension's may be in the way
};

struct Subscriber {
    // Sends away what it has in a database, waits until that is gone, and lets nothing come until free_again(). Returns
    // whether there is anything to be freed again. Throws Error (cancel): then there is not.
    bool (*give_way)(Oid database, Claim claim);

    // The transaction of the command is over. Must neither allocate nor fail.
    void (*free_again)(Oid database) noexcept;
};

// How a subscriber's processes leave a database. Both take what locks they need, and neither raises.
struct Leaving {
    ConditionVariable *gone;         // broadcast when one has gone
    bool (*there)(Oid database);     // whether one still is
    void (*send_away)(Oid database); // each second again: one that was cancelled in the midst of something may go on
};

// For give_way(), with what is there asked to go: waits until it has gone, 10 seconds at most. Throws Error (cancel).
void wait_until_gone(const Leaving &leaving, Oid database);

// In _PG_init, while the server loads the library at its start. At most a handful.
void subscribe(const Subscriber &subscriber);

} // namespace wc::pg::claims
