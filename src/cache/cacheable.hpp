// Whether the rows of a query follow from what the cache can see: its tables, its parameters, settings, and the
// database's rules (functions, operators, enums and so on). Decided on the analysed and rewritten query, views and all.
#pragma once

#include "cache/refusal.hpp"
#include "pg/prelude.hpp"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace wc::cache {

// Lists are in the memory that was current.
struct Verdict {
    bool refused = false;
    Refusal refusal = Refusal::OtherQuery; // the first reason that was found, where it is refused
    bool prints_alike = true;              // its rows do, as JSON
    List *tables = NIL;                    // OIDs of tables, views and the relations of composite types, each once
    List *functions = NIL;                 // OIDs of what it calls and what needs a right for that, each once
    List *checked = NIL;                   // what compat::check_tables() takes
};

// queries: what CachedPlanSource keeps of a statement; row: what it returns, or null; statement: its parse tree. Plain
// server code.
Verdict verdict_of(List *queries, TupleDesc row, RawStmt *statement);

} // namespace wc::cache
