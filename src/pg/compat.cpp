// What differs between server versions.
#include "pg/compat.hpp"

#include <algorithm>

extern "C" {
#include "access/genam.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "port/pg_bitutils.h"
#include "catalog/pg_database.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "postmaster/postmaster.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/guc_tables.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif
}

namespace wc::pg::compat {

void enable_query_ids() {
    EnableQueryId();
}

#if PG_VERSION_NUM >= 160000

Oid extension_schema(Oid extension) {
    return get_extension_schema(extension);
}

void check_permissions(PlannedStmt *plan) {
    (void)ExecCheckPermissions(plan->rtable, plan->permInfos, true);
}

void note_checked_tables(Query *query, List **checked) {
    *checked = list_concat(*checked, query->rteperminfos);
}

void check_tables(List *checked) {
    (void)ExecCheckPermissions(NIL, checked, true);
}

bool may_call(Oid function) {
    return object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
}

bool owns_database(Oid database, Oid role) {
    return object_ownercheck(DatabaseRelationId, database, role);
}

bool owns_extension(Oid extension, Oid role) {
    return object_ownercheck(ExtensionRelationId, extension, role);
}

#else

Oid extension_schema(Oid extension) {
    Oid schema = InvalidOid;
    ::Relation table = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
    SysScanDesc scan = systable_beginscan(table, ExtensionOidIndexId, true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple))
        schema = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extnamespace;
    systable_endscan(scan);
    table_close(table, AccessShareLock);
    return schema;
}

void check_permissions(PlannedStmt *plan) {
    (void)ExecCheckRTPerms(plan->rtable, true);
}

void note_checked_tables(Query *query, List **checked) {
    ListCell *cell;
    foreach (cell, query->rtable) {
        auto *entry = lfirst_node(RangeTblEntry, cell);
        if (entry->rtekind == RTE_RELATION && entry->requiredPerms != 0)
            *checked = lappend(*checked, entry);
    }
}

void check_tables(List *checked) {
    (void)ExecCheckRTPerms(checked, true);
}

bool may_call(Oid function) {
    return pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
}

bool owns_database(Oid database, Oid role) {
    return pg_database_ownercheck(database, role);
}

bool owns_extension(Oid extension, Oid role) {
    return pg_extension_ownercheck(extension, role);
}

#endif

namespace {

config_generic *setting(const char *name) {
#if PG_VERSION_NUM >= 160000
    return find_option(name, false, true, DEBUG1);
#else
    config_generic **all = get_guc_variables();
    for (int i = 0; i < GetNumConfigOptions(); ++i)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return nullptr;
#endif
}

} // namespace

const char *caller_message_level() {
    auto *level = reinterpret_cast<config_enum *>(setting("client_min_messages"));
    if (level == nullptr)
        return "warning";
    // Saved by who will put it back, not changed by SET.
    const GucStack *saved = level->gen.stack;
    const bool raised = saved != nullptr && saved->state == GUC_SAVE;
    return config_enum_lookup_by_value(level, raised ? saved->prior.val.enumval : client_min_messages);
}

// The server doesn't tell where its array of states is, only where this process has its place in it.
const PgBackendStatus *backend_status(const PGPROC *process) {
    if (MyBEEntry == nullptr)
        return nullptr;
#if PG_VERSION_NUM >= 170000
    return MyBEEntry - MyProcNumber + GetNumberFromPGProc(process);
#else
    const BackendId its = process->backendId;
    return its != InvalidBackendId ? MyBEEntry - MyBackendId + its : nullptr;
#endif
}

int reserved_connections() {
#if PG_VERSION_NUM >= 160000
    return SuperuserReservedConnections + ReservedConnections;
#else
    return ReservedBackends;
#endif
}

namespace {

// A word is of 16 slots, with three bits each, of the modes up to ROW EXCLUSIVE.
int row_exclusive_in(uint64 modes, const Oid *relations, Oid *out, int most) {
    constexpr uint64 third_bits = 04444444444444444ULL;
    static_assert(third_bits == ((uint64{1} << 48) - 1) / 7 * 4);
    int found = 0;
    for (uint64 held = modes & third_bits; held != 0; held &= held - 1, ++found)
        if (found < most)
            out[found] = relations[pg_rightmost_one_pos64(held) / 3];
    return found;
}

} // namespace

int fast_path_row_exclusive(Oid *out, int most) {
#if PG_VERSION_NUM >= 180000
    int found = 0;
    for (int group = 0; group < FastPathLockGroupsPerBackend; ++group)
        found += row_exclusive_in(MyProc->fpLockBits[group], &MyProc->fpRelId[group * FP_LOCK_SLOTS_PER_GROUP],
                                  out + std::min(found, most), std::max(most - found, 0));
    return found;
#else
    return row_exclusive_in(MyProc->fpLockBits, MyProc->fpRelId, out, most);
#endif
}

uint32 partitions_with_own_locks() {
    static_assert(NUM_LOCK_PARTITIONS <= 32);
    uint32 found = 0;
    for (uint32 partition = 0; partition < NUM_LOCK_PARTITIONS; ++partition) {
#if PG_VERSION_NUM >= 160000
        const bool none = dlist_is_empty(&MyProc->myProcLocks[partition]);
#else
        const bool none = MyProc->myProcLocks[partition].next == &MyProc->myProcLocks[partition];
#endif
        found |= none ? 0 : uint32{1} << partition;
    }
    return found;
}

void each_own_lock(int partition, void (*seen)(const PROCLOCK *mine, void *argument), void *argument) {
#if PG_VERSION_NUM >= 160000
    // The server's macros for its lists are for C alone.
    dlist_node *const head = &MyProc->myProcLocks[partition].head;
    for (dlist_node *at = head->next; at != head; at = at->next)
        seen(reinterpret_cast<PROCLOCK *>(reinterpret_cast<char *>(at) - offsetof(PROCLOCK, procLink)), argument);
#else
    SHM_QUEUE *list = &MyProc->myProcLocks[partition];
    for (Pointer at = SHMQueueNext(list, list, offsetof(PROCLOCK, procLink)); at != nullptr;) {
        auto *mine = reinterpret_cast<PROCLOCK *>(at);
        seen(mine, argument);
        at = SHMQueueNext(list, &mine->procLink, offsetof(PROCLOCK, procLink));
    }
#endif
}

TransactionId prepared_before_start(const LockInstanceData &held) {
    if (held.pid != 0)
        return InvalidTransactionId;
#if PG_VERSION_NUM >= 170000
    return held.vxid.procNumber == INVALID_PROC_NUMBER ? held.vxid.localTransactionId : InvalidTransactionId;
#else
    return held.backend == InvalidBackendId ? held.lxid : InvalidTransactionId;
#endif
}

bool is_over(TransactionId transaction) {
#if PG_VERSION_NUM >= 180000
    return ConditionalXactLockTableWait(transaction, false);
#else
    return ConditionalXactLockTableWait(transaction);
#endif
}

bool committed(TransactionId transaction) {
    LWLockAcquire(XactTruncationLock, LW_SHARED);
#if PG_VERSION_NUM >= 170000
    const TransactionId oldest = TransamVariables->oldestClogXid;
#else
    const TransactionId oldest = ShmemVariableCache->oldestClogXid;
#endif
    const bool result = TransactionIdPrecedes(transaction, oldest) || TransactionIdDidCommit(transaction);
    LWLockRelease(XactTruncationLock);
    return result;
}

MinimalTuple form_minimal_tuple(TupleDesc columns, Datum *values, bool *nulls) {
#if PG_VERSION_NUM >= 180000
    return heap_form_minimal_tuple(columns, values, nulls, 0);
#else
    return heap_form_minimal_tuple(columns, values, nulls);
#endif
}

void insert_index_entries(ResultRelInfo *table, TupleTableSlot *row, EState *estate) {
#if PG_VERSION_NUM >= 160000
    (void)ExecInsertIndexTuples(table, row, estate, false, false, nullptr, NIL, false);
#else
    (void)ExecInsertIndexTuples(table, row, estate, false, false, nullptr, NIL);
#endif
}

TM_Result update_row(ResultRelInfo *target, EState *estate, ItemPointer place, TupleTableSlot *slot, CommandId command,
                     Snapshot snapshot) {
    TM_FailureData failure;
    LockTupleMode lock;
#if PG_VERSION_NUM >= 160000
    TU_UpdateIndexes indexes = TU_None;
#else
    bool indexes = false;
#endif
    const TM_Result result = table_tuple_update(target->ri_RelationDesc, place, slot, command, snapshot,
                                                InvalidSnapshot, true, &failure, &lock, &indexes);
    if (result != TM_Ok)
        return result;
        // Not as an update: that would ask the statement's range table, which there is none of, for the columns it
        // sets.
#if PG_VERSION_NUM >= 160000
    if (indexes != TU_None)
        (void)ExecInsertIndexTuples(target, slot, estate, false, false, nullptr, NIL, indexes == TU_Summarizing);
#else
    if (indexes)
        (void)ExecInsertIndexTuples(target, slot, estate, false, false, nullptr, NIL);
#endif
    return result;
}

} // namespace wc::pg::compat
