// The rows of a query as the result of a function.
//
// Plain server code all through, called inside a guard: it may raise, and nothing here has a destructor.
#pragma once

#include "pg/prelude.hpp"

extern "C" {
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/tuplestore.h"
}

namespace wc::cache::rows {

// What a function that returns rows has to give, and where it puts them: the server's tuplestore (work_mem, then disk).
struct Output {
    ReturnSetInfo *info = nullptr;
    MemoryContext memory = nullptr; // of this call; of what is left to the calling query there is only what it frees
    TupleDesc wanted = nullptr;     // null: rows as the query has them (a record that nobody describes)
    Tuplestorestate *store = nullptr;

    // Once the rows are known (fit).
    TupleDesc given = nullptr;
    bool as_given = false;          // rows go out as they are
    AttrNumber *from = nullptr;     // of each column that is wanted: which of the given ones, -1 for one dropped
    TupleTableSlot *slot = nullptr; // of given
    Datum *values = nullptr;        // of wanted
    bool *nulls = nullptr;
};

// Of the function that is called. Raises 0A000 where its caller takes no set of rows, or where its result type is a
// domain over a row type or can't be told.
Output open(FunctionCallInfo fcinfo);

// Whether rows of these columns are what the function has to give, by their order; raises 42804 where they aren't, with
// the detail that the server itself gives. Before put(), and again where the columns may be others by now. `given` has
// to live as long as rows are put.
void fit(Output &out, TupleDesc given);

// Adds a row, of the columns that fit() was given.
void put(Output &out, MinimalTuple row);
void put(Output &out, TupleTableSlot *row);

// Takes away what was put.
void clear(Output &out);

} // namespace wc::cache::rows
