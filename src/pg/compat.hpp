// What differs between server versions, and only that.
#pragma once

#include "pg/prelude.hpp"

#if PG_VERSION_NUM >= 160000
extern "C" {
#include "varatt.h" // part of postgres.h before
}
#endif

extern "C" {
#include "utils/backend_status.h"
}

namespace wc::pg::compat {

// The schema of an extension. Exported by the server from 16 on. Plain server code: call it inside a guard.
Oid extension_schema(Oid extension);

// What client_min_messages was before the function or script that runs now changed it. Plain server code.
const char *caller_message_level();

// Raises 42501 where the current user may not do what a plan does with its tables. Plain server code.
void check_permissions(PlannedStmt *plan);

// Adds to a list what of a query's own tables (not its sub-selects') has to be checked before it may run, and raises
// 42501, as running it would, where the current user may not read one of them. What is in the list points into the
// queries. Plain server code.
void note_checked_tables(Query *query, List **checked);
void check_tables(List *checked);

// Whether an entry stands for the expressions that a query groups by, which are there besides. From 18 on.
inline bool is_group_entry([[maybe_unused]] const RangeTblEntry *entry) {
#if PG_VERSION_NUM >= 180000
    return entry->rtekind == RTE_GROUP;
#else
    return false;
#endif
}

// Whether the current user may call a function. Plain server code.
bool may_call(Oid function);

// Whether a role owns a database. Plain server code.
bool owns_database(Oid database, Oid role);

// Whether a role owns an extension. Plain server code.
bool owns_extension(Oid extension, Oid role);

// Has the server compute query ids where compute_query_id is auto. Once, while it loads its libraries.
void enable_query_ids();

// What a process shows of itself in pg_stat_activity, which it may be writing just now; null: nothing yet. It may still
// be what the process that had its place before has left.
const PgBackendStatus *backend_status(const PGPROC *process);

// How many of max_connections are not for everybody.
int reserved_connections();

// A tree walker as the server's walker functions take it: before 16 they are declared without its parameters.
#if PG_VERSION_NUM >= 160000
using Walker = bool (*)(Node *, void *);
inline Walker walker(bool (*function)(Node *, void *)) {
    return function;
}
#else
using Walker = bool (*)();
inline Walker walker(bool (*function)(Node *, void *)) {
    return reinterpret_cast<Walker>(reinterpret_cast<void (*)()>(function));
}
#endif

// Of this process, the tables that it has locked ROW EXCLUSIVE without a place in the lock table that all sessions
// share: how many there are, and the OIDs of the first `most`. Under MyProc->fpInfoLock.
int fast_path_row_exclusive(Oid *out, int most);

// The others, by partition of the shared table: in which there are some, a bit for each (a look, without a lock), and
// each of one partition, under its lock. Neither allocates nor fails.
uint32 partitions_with_own_locks();
void each_own_lock(int partition, void (*seen)(const PROCLOCK *mine, void *argument), void *argument);

// Whether a lock in a list of all is held by a transaction that was prepared before the server started; then its id.
TransactionId prepared_before_start(const LockInstanceData &held);

// Whether a transaction has ended and given its locks back: not that of this session. Plain server code.
bool is_over(TransactionId transaction);

// Whether the outcome of a transaction that is over was to commit. One so old that the server no longer knows counts as
// committed. Plain server code.
bool committed(TransactionId transaction);

// A row of these values, in the current memory. Plain server code.
MinimalTuple form_minimal_tuple(TupleDesc columns, Datum *values, bool *nulls);

// Enters a row that has just been put into a table into the table's indexes. Plain server code.
void insert_index_entries(ResultRelInfo *table, TupleTableSlot *row, EState *estate);

// Writes a new version of a row, and index entries where the heap says that they are needed (not for a HOT update).
// Plain server code.
TM_Result update_row(ResultRelInfo *target, EState *estate, ItemPointer place, TupleTableSlot *slot, CommandId command,
                     Snapshot snapshot);

} // namespace wc::pg::compat
