// Writing the rows of a materialized view that differ from its definition.
#include "refresh/apply.hpp"

#include "pg/compat.hpp"
#include "pg/kept.hpp"

extern "C" {
#include "access/tableam.h"
#include "executor/executor.h"
}

namespace wc::refresh {

namespace {

constexpr int batch = 500;

// Up to so many keys a kept plan serves, which takes any array to have ten elements. More of them are worth planning
// with their number.
constexpr int64_t few_keys = 300;

// What the plan's query says in its first column.
enum What { remove = 1, change = 2, add = 3 };
constexpr int leading_columns = 2; // what to do, and where

// The view, opened for writing. Plain server code from here on: called inside a guard.
struct Target {
    ::Relation relation;
    EState *estate;
    ResultRelInfo *result;
    TupleTableSlot *slot;
    Snapshot snapshot;
    CommandId command;
};

Target open_target(Oid view) {
    Target out;
    out.relation = table_open(view, NoLock);
    out.estate = CreateExecutorState();
    out.result = makeNode(ResultRelInfo);
    InitResultRelInfo(out.result, out.relation, 1, nullptr, 0);
    ExecOpenIndices(out.result, false);
    out.slot = MakeSingleTupleTableSlot(RelationGetDescr(out.relation), &TTSOpsVirtual);
    out.snapshot = GetActiveSnapshot();
    out.command = GetCurrentCommandId(true);
    return out;
}

void close_target(const Target &target) {
    ExecDropSingleTupleTableSlot(target.slot);
    ExecCloseIndices(target.result);
    FreeExecutorState(target.estate);
    table_close(target.relation, NoLock);
    CommandCounterIncrement();
}

// The query must give the view's columns: another type would be written as the wrong one.
void check_columns(TupleDesc query, TupleDesc view) {
    bool same = query->natts == view->natts + leading_columns;
    for (int i = 0; same && i < view->natts; ++i)
        same = TupleDescAttr(query, i + leading_columns)->atttypid == TupleDescAttr(view, i)->atttypid;
    if (!same)
        ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                        errmsg("the definition of the materialized view gives other columns than it has")));
}

// Nobody else writes the view, so a row that the snapshot sees is there to be written.
void check_result(TM_Result result) {
    if (result != TM_Ok)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("a row of the materialized view was written by other means")));
}

void write_row(const Target &target, int what, ItemPointer place, const Datum *values, const bool *nulls) {
    TupleTableSlot *slot = target.slot;
    if (what != remove) {
        const int columns = slot->tts_tupleDescriptor->natts;
        ExecClearTuple(slot);
        memcpy(slot->tts_values, values, sizeof(Datum) * columns);
        memcpy(slot->tts_isnull, nulls, sizeof(bool) * columns);
        ExecStoreVirtualTuple(slot);
    }
    TM_FailureData failure;
    switch (what) {
    case remove:
        check_result(table_tuple_delete(target.relation, place, target.command, target.snapshot, InvalidSnapshot, true,
                                        &failure, false));
        break;
    case change:
        check_result(
            pg::compat::update_row(target.result, target.estate, place, slot, target.command, target.snapshot));
        break;
    default:
        table_tuple_insert(target.relation, slot, target.command, 0, nullptr);
        pg::compat::insert_index_entries(target.result, slot, target.estate);
    }
}

void count(int what, Written &written) {
    if (what == remove)
        ++written.deleted;
    else if (what == change)
        ++written.updated;
    else
        ++written.inserted;
}

Written write_differences(Oid view, const char *sql, const Keys &keys) {
    Written written;
    Oid *types = static_cast<Oid *>(palloc(sizeof(Oid) * keys.columns));
    for (int i = 0; i < keys.columns; ++i)
        types[i] = TEXTARRAYOID;
    auto *arrays = const_cast<Datum *>(keys.arrays);
    Portal portal = keys.count <= few_keys
                        ? SPI_cursor_open(nullptr, pg::kept_plan(sql, keys.columns, types), arrays, nullptr, true)
                        : SPI_cursor_open_with_args(nullptr, sql, keys.columns, types, arrays, nullptr, true, 0);
    const Target target = open_target(view);
    const int columns = RelationGetDescr(target.relation)->natts + leading_columns;
    auto *values = static_cast<Datum *>(palloc(sizeof(Datum) * columns));
    auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * columns));
    check_columns(portal->tupDesc, RelationGetDescr(target.relation));
    // Deletes come first, then updates, then inserts: a key that moves from one row to another meets no duplicate.
    for (bool more = true; more;) {
        SPI_cursor_fetch(portal, true, batch);
        SPITupleTable *rows = SPI_tuptable;
        const uint64 fetched = SPI_processed;
        for (uint64 i = 0; i < fetched; ++i) {
            CHECK_FOR_INTERRUPTS();
            MemoryContext const caller = MemoryContextSwitchTo(GetPerTupleMemoryContext(target.estate));
            heap_deform_tuple(rows->vals[i], rows->tupdesc, values, nulls);
            const int what = DatumGetInt32(values[0]);
            write_row(target, what, reinterpret_cast<ItemPointer>(DatumGetPointer(values[1])), values + leading_columns,
                      nulls + leading_columns);
            count(what, written);
            MemoryContextSwitchTo(caller);
            ResetPerTupleExprContext(target.estate);
        }
        SPI_freetuptable(rows);
        more = fetched > 0;
    }
    close_target(target);
    SPI_cursor_close(portal);
    return written;
}

} // namespace

Written apply(pg::Spi &, Oid view, const Plan &plan, const Keys &keys) {
    if (keys.count == 0)
        return {};
    const char *const sql = plan.difference.c_str();
    return pg::call([=] { return write_differences(view, sql, keys); });
}

} // namespace wc::refresh
