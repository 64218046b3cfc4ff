// The server's hooks round each statement: analysed, planned, started, run, finished, ended; and utility statements.
// Chained here like the others (pg/hooks), apart because they are on the path of every statement: plain server code, no
// exceptions, no allocation.
#pragma once

#include "pg/prelude.hpp"

extern "C" {
#include "executor/execdesc.h"
#include "nodes/plannodes.h"
}

#include <array>

namespace wc::pg::hooks {

// A utility statement, told of when it begins and when it has ended.
struct UtilityStatement {
    const PlannedStmt *statement;    // only at its beginning: it may free itself
    uint64 rows = 0;                 // returned or affected, once it has ended
    int sqlstate = 0;                // of the error that it ended with, 0 for none
    std::array<int64, 8> notes = {}; // what the subscriber remembers from its beginning to its end
};

// What follows statements from their analysis to their end. None of these may allocate, wait for more than a leaf lock,
// or raise, but for `parsed`, which may do all that. failed() is told in the midst of an error, before anything is
// cleaned up; a query that failed, or whose (sub)transaction ended under it, never gets to ended().
struct StatementFollower {
    void (*parsed)(const Query *query, const char *source);
    void (*started)(QueryDesc *query) noexcept; // about to start: it has no state yet
    void (*running)(QueryDesc *query) noexcept; // about to run, maybe not for the first time
    void (*ran)(QueryDesc *query) noexcept;     // as far as it was asked for
    void (*finishing)(QueryDesc *query) noexcept;
    void (*finished)(QueryDesc *query) noexcept;
    void (*ended)(QueryDesc *query) noexcept; // about to end: its state is still there
    void (*failed)(QueryDesc *query, int sqlstate) noexcept;
    void (*utility_begins)(UtilityStatement &statement) noexcept;
    void (*utility_ended)(UtilityStatement &statement) noexcept;
    void (*subtransaction_ended)(SubTransactionId which, SubTransactionId parent, bool aborted) noexcept;
};

// How deep the statement that runs now is nested: 0 for what the client sent, more for what functions, triggers,
// planning and utility statements run. EXECUTE and PREPARE do not count: what they name was sent by the client.
extern int current_nesting; // kept by statement_hooks.cpp alone
inline int nesting() noexcept {
    return current_nesting;
}

// One of these at most: in _PG_init, before install(), while the server starts. Throws where there is one.
void follow_statements(const StatementFollower &follower);

// Called besides the follower when a statement is about to start, whoever runs it, but for EXPLAIN without ANALYZE. It
// must neither allocate nor raise.
using StatementWatcher = void (*)(QueryDesc *query) noexcept;

// One of these at most, as the follower. Throws where there is one.
void watch_statements(StatementWatcher watcher);

// Between this file and pg/hooks: what install() calls, and what subscribes to utility statements alone.
void install_statement_hooks();
bool utility_is_announced() noexcept;
void announce_utility(Node *statement);

} // namespace wc::pg::hooks
