// Plans a statement as if some hypothetical indexes of hypopg were there, and others not. Nothing is executed.
#pragma once

#include "core/index_choice.hpp"
#include "pg/unbound.hpp"

namespace wc::pg {

struct Outlook {
    Unplanned why;
    double cost = 0; // as things are, without hypothetical indexes; in the planner's units
    std::vector<core::TableUse> uses;
    std::map<unsigned, double> rows; // of the tables in uses
    bool partitioned = false;        // a table was left out since it has partitions or children
    bool pattern = false;            // compares a column with a pattern that isn't known
};

// Analyses and plans a statement, and says what it asks of its tables. Types of parameters that follow from nothing are
// guessed and noted in the statement. No error of the statement's is thrown, and no lock is kept. Throws Error for what
// must end the calling statement.
Outlook outlook(Unbound &statement);

// The costs of a statement that outlook() can plan, with each of some sets of hypothetical indexes. Infinity where it
// can't be planned any more.
std::vector<double> costs_with(const Unbound &statement, const std::vector<std::vector<Oid>> &sets);

} // namespace wc::pg
