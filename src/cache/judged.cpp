// What the walk over a query has found so far.
#include "cache/judged.hpp"

#include "cache/printed.hpp"
#include "cache/stable_functions.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
}

namespace wc::cache {

void refuse(Walk *walk, Refusal reason) {
    if (walk->verdict.refused)
        return;
    walk->verdict.refused = true;
    walk->verdict.refusal = reason;
}

void note_table(Walk *walk, Oid table) {
    walk->verdict.tables = list_append_unique_oid(walk->verdict.tables, table);
}

void note_printed(Walk *walk, Oid type) {
    if (type == RECORDOID || type == RECORDARRAYOID)
        walk->prints_records = true;
    else if (!prints_alike(type, &walk->verdict.tables))
        refuse(walk, Refusal::ObjectIdentifier);
}

void note_part(Walk *walk, Oid type) {
    if (type != RECORDOID && type != RECORDARRAYOID)
        walk->parts = list_append_unique_oid(walk->parts, type);
}

void note_parts(Walk *walk, List *types) {
    ListCell *cell;
    foreach (cell, types)
        note_part(walk, lfirst_oid(cell));
}

void judge_records(Walk *walk) {
    if (!walk->prints_records)
        return;
    bool alike = !walk->unknown_parts;
    ListCell *cell;
    foreach (cell, walk->parts)
        alike = prints_alike(lfirst_oid(cell), &walk->verdict.tables) && alike;
    if (!alike)
        refuse(walk, Refusal::ObjectIdentifier);
}

void note_call(Walk *walk, Oid function, List *arguments) {
    bool prints = false;
    if (!follows_from_arguments(function, &prints)) {
        if (function < FirstGenbkiObjectId && stable_function(function) == Stable::Clock)
            refuse(walk, Refusal::Clock);
        else
            refuse(walk, func_volatile(function) == PROVOLATILE_VOLATILE ? Refusal::VolatileFunction
                                                                         : Refusal::StableFunction);
    } else if (prints) {
        ListCell *cell;
        foreach (cell, arguments) {
            auto *argument = static_cast<Node *>(lfirst(cell));
            if (IsA(argument, TargetEntry))
                argument = reinterpret_cast<Node *>(reinterpret_cast<TargetEntry *>(argument)->expr);
            note_printed(walk, exprType(argument));
        }
    }
}

void note_function(Walk *walk, Oid function, List *arguments) {
    walk->verdict.functions = list_append_unique_oid(walk->verdict.functions, function);
    note_call(walk, function, arguments);
}

void note_aggregate(Walk *walk, Oid aggregate, List *arguments) {
    note_function(walk, aggregate, arguments);
    HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
    if (!HeapTupleIsValid(tuple)) // a plain window function
        return;
    const auto *row = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple));
    const Oid parts[] = {row->aggtransfn,    row->aggfinalfn,  row->aggcombinefn,   row->aggserialfn,
                         row->aggdeserialfn, row->aggmtransfn, row->aggminvtransfn, row->aggmfinalfn};
    ReleaseSysCache(tuple);
    for (const Oid part : parts)
        if (OidIsValid(part))
            note_call(walk, part, arguments);
}

} // namespace wc::cache
