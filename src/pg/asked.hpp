// What a statement asks of its tables, as the planner has it before it looks for ways to read them: columns that are
// compared, joined, ordered by. Plain server code in the planner's memory; for pg/what_if, which runs the planner.
#pragma once

#include "pg/prelude.hpp"

extern "C" {
#include "nodes/pathnodes.h"
}

namespace wc::pg::asked {

struct Column {
    const char *sql; // a quoted name, or an expression in parentheses
    double distinct;
    bool descending;
    bool nulls_first;
};

struct Index {
    List *columns; // of Column
    bool ordered;  // a B-tree, not a hash index
};

struct Table {
    Oid oid;
    double rows;
    List *equal;   // of Column
    List *joined;  // of Column
    List *range;   // of Column
    List *orders;  // of lists of Column
    List *indexes; // of Index: those that the planner may use here
};

struct Statement {
    List *tables;     // of Table
    bool partitioned; // reads a partitioned table or one with children
    List *assumed;    // OIDs of partial indexes whose predicate may follow from values that the statement has not
    bool pattern;     // compares with a pattern that isn't in the text
};

// Adds what is asked of one table, when the planner is about to look for ways to read it. Tables of the system, of
// extensions, temporary and foreign ones are left out.
void note(PlannerInfo *root, RelOptInfo *rel, int rti, const RangeTblEntry *entry, Statement *found);

} // namespace wc::pg::asked
