// The rows of a query as the result of a function.
#include "cache/rows.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/typcache.h"
}

namespace wc::cache::rows {

namespace {

[[noreturn]] void refuse_width(int given, int wanted) {
    ereport(ERROR,
            (errcode(ERRCODE_DATATYPE_MISMATCH),
             errmsg("function return row and query-specified return row do not match"),
             errdetail_plural("Returned row contains %d attribute, but query expects %d.",
                              "Returned row contains %d attributes, but query expects %d.", given, given, wanted),
             errhint("Let the columns of the query be those of the row type, in the same order.")));
}

[[noreturn]] void refuse_type(const FormData_pg_attribute &given, int place, const FormData_pg_attribute &wanted) {
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("function return row and query-specified return row do not match"),
                    errdetail("Returned type %s at ordinal position %d, but query expects %s.",
                              format_type_with_typemod(given.atttypid, given.atttypmod), place,
                              format_type_with_typemod(wanted.atttypid, wanted.atttypmod)),
                    errhint("Cast the column in the query, or give the other type.")));
}

// A value of the one is one of the other as it stands: the same type, or one of the server's own equivalents.
bool fits(const FormData_pg_attribute &given, const FormData_pg_attribute &wanted) {
    if (given.atttypid == wanted.atttypid)
        return wanted.atttypmod < 0 || given.atttypmod == wanted.atttypmod;
    return wanted.atttypmod < 0 && given.attlen == wanted.attlen && given.attbyval == wanted.attbyval &&
           given.attalign == wanted.attalign && IsBinaryCoercible(given.atttypid, wanted.atttypid);
}

void put_mapped(Output &out, TupleTableSlot *row) {
    slot_getallattrs(row);
    for (int i = 0; i < out.wanted->natts; ++i) {
        const AttrNumber from = out.from[i];
        out.nulls[i] = from < 0 || row->tts_isnull[from];
        out.values[i] = out.nulls[i] ? static_cast<Datum>(0) : row->tts_values[from];
    }
    tuplestore_putvalues(out.store, out.wanted, out.values, out.nulls);
}

// What the function has to give, in the current memory; null: whatever the query gives.
TupleDesc wanted_row(FunctionCallInfo fcinfo, const ReturnSetInfo *info) {
    Oid type = InvalidOid;
    TupleDesc row = nullptr;
    switch (get_call_result_type(fcinfo, &type, &row)) {
    case TYPEFUNC_COMPOSITE:
        return CreateTupleDescCopy(row); // of a record it is the caller's own
    case TYPEFUNC_RECORD:
        return info->expectedDesc != nullptr ? CreateTupleDescCopy(info->expectedDesc) : nullptr;
    case TYPEFUNC_SCALAR:
        row = CreateTemplateTupleDesc(1);
        TupleDescInitEntry(row, 1, "value", type, -1, 0);
        TupleDescInitEntryCollation(row, 1, get_typcollation(type));
        return row;
    case TYPEFUNC_COMPOSITE_DOMAIN:
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a domain over a row type can't be a row type"),
                        errhint("Give the row type that it is a domain over.")));
    default:
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("could not determine the row type"),
                        errhint("Give NULL, cast to the type of the rows.")));
    }
}

} // namespace

Output open(FunctionCallInfo fcinfo) {
    Output out;
    out.info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (out.info == nullptr || !IsA(out.info, ReturnSetInfo) || (out.info->allowedModes & SFRM_Materialize) == 0)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("set-valued function called in context that cannot accept a set"),
                        errhint("Call it in FROM.")));
    out.memory = MemoryContextSwitchTo(out.info->econtext->ecxt_per_query_memory);
    out.wanted = wanted_row(fcinfo, out.info);
    out.store = tuplestore_begin_heap((out.info->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
    out.info->returnMode = SFRM_Materialize;
    out.info->setResult = out.store;
    out.info->setDesc = out.wanted;
    MemoryContextSwitchTo(out.memory);
    return out;
}

void fit(Output &out, TupleDesc given) {
    MemoryContext const caller = MemoryContextSwitchTo(out.memory);
    out.given = given;
    out.slot = MakeSingleTupleTableSlot(given, &TTSOpsMinimalTuple);
    if (out.wanted == nullptr) {
        MemoryContextSwitchTo(out.info->econtext->ecxt_per_query_memory);
        out.info->setDesc = BlessTupleDesc(CreateTupleDescCopy(given));
        out.as_given = true;
        MemoryContextSwitchTo(caller);
        return;
    }
    const int columns = out.wanted->natts;
    out.from = static_cast<AttrNumber *>(palloc(sizeof(AttrNumber) * (columns + 1)));
    out.values = static_cast<Datum *>(palloc(sizeof(Datum) * (columns + 1)));
    out.nulls = static_cast<bool *>(palloc(sizeof(bool) * (columns + 1)));
    int wanted = 0;
    for (int i = 0; i < columns; ++i)
        out.from[i] = TupleDescAttr(out.wanted, i)->attisdropped ? -1 : static_cast<AttrNumber>(wanted++);
    if (wanted != given->natts)
        refuse_width(given->natts, wanted);
    for (int i = 0; i < columns; ++i)
        if (out.from[i] >= 0 && !fits(*TupleDescAttr(given, out.from[i]), *TupleDescAttr(out.wanted, i)))
            refuse_type(*TupleDescAttr(given, out.from[i]), out.from[i] + 1, *TupleDescAttr(out.wanted, i));
    out.as_given = wanted == columns;
    MemoryContextSwitchTo(caller);
}

void put(Output &out, MinimalTuple row) {
    ExecStoreMinimalTuple(row, out.slot, false);
    put(out, out.slot);
}

void put(Output &out, TupleTableSlot *row) {
    if (out.as_given)
        tuplestore_puttupleslot(out.store, row);
    else
        put_mapped(out, row);
}

void clear(Output &out) {
    tuplestore_clear(out.store);
}

} // namespace wc::cache::rows
