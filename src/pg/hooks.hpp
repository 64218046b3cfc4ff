// The server's hooks: saved, chained and installed here and nowhere else. Rooms subscribe to what they announce.
#pragma once

#include "pg/guard.hpp"

namespace wc::pg::hooks {

// Called before a utility statement runs, in its transaction, within a statement of its own or one that calls it. May
// throw: the statement then fails with that error.
using BeforeUtility = void (*)(Node *statement);

// Called when a transaction of this session commits (everybody sees it by then), aborts or is prepared. Must neither
// allocate nor raise.
using AtTransactionEnd = void (*)(XactEvent event);

// Called when a subtransaction of this session aborts, which is still the current one. Must neither allocate nor raise.
using AtSubtransactionAbort = void (*)();

// Called before a transaction of this session commits (XACT_EVENT_PRE_COMMIT) or is prepared (XACT_EVENT_PRE_PREPARE):
// nobody sees it yet, it holds all its locks, and runs no more statements. Plain server code: may raise, and the
// transaction then fails.
using BeforeTransactionEnd = void (*)(XactEvent event);

// Called when a transaction that has ended has given back all it held: others see it, its invalidation messages have
// gone out, its locks are free, and its client has not been told. May be called several times for one transaction, and
// for a transaction that was prepared. Must neither allocate nor raise.
using ResourcesReleased = void (*)(bool committed);

// Called when an error or another message goes to the server's log, in whatever state raised it: an aborted
// transaction, a process that has no database or no PGPROC, locks held. Must neither allocate nor raise, look anything
// up, nor wait for more than a leaf lock. Not called for what an EXCEPTION block catches, nor where log_min_messages
// keeps it from the log.
using ErrorReported = void (*)(const ErrorData &report) noexcept;

// A block of shared memory, made when the server starts, and again after a crash.
struct SharedMemory {
    const char *name;                                      // of the block, and of the lock that comes with it
    Size (*size)();                                        // when every setting of the server is known
    void (*start)(void *memory, LWLock *lock, bool fresh); // in each process that starts; fresh: fill it in
};

// Subscriptions: in _PG_init, before install(). At most a handful of each.
void before_utility(BeforeUtility subscriber);
void before_transaction_end(BeforeTransactionEnd subscriber);
void at_transaction_end(AtTransactionEnd subscriber);
void at_subtransaction_abort(AtSubtransactionAbort subscriber);
void resources_released(ResourcesReleased subscriber);
void error_reported(ErrorReported subscriber);
void shared_memory(const SharedMemory &block);

// Whether the server is loading the library at its start: only then there is shared memory.
bool server_is_starting();

// Installs what the subscriptions need. Called once, last thing in _PG_init.
void install();

} // namespace wc::pg::hooks
