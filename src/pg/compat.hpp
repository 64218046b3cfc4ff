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

// Enters a row that has just been put into a table into the table's indexes. Plain server code.
void insert_index_entries(ResultRelInfo *table, TupleTableSlot *row, EState *estate);

// Writes a new version of a row, and index entries where the heap says that they are needed (not for a HOT update).
// Plain server code.
TM_Result update_row(ResultRelInfo *target, EState *estate, ItemPointer place, TupleTableSlot *slot, CommandId command,
                     Snapshot snapshot);

} // namespace wc::pg::compat
