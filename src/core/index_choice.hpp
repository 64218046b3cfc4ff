// Which indexes would make statements quicker: candidates follow from what the statements ask of their tables, and the
// choice among them from what a planner says they save.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace wc::core {

constexpr size_t index_columns = 3; // of a candidate, at most

struct KeyColumn {
    std::string sql;          // as in CREATE INDEX: a quoted name, or an expression in parentheses
    bool descending = false;  //
    bool nulls_first = false; //
    double distinct = 0;      // how many different values the column has, as far as is known

    // With its order, where that is not the server's default.
    [[nodiscard]] std::string definition() const;
};

// An index that there is and that the planner may use for a statement.
struct ExistingIndex {
    std::vector<KeyColumn> columns;
    bool ordered = true; // a B-tree; else it answers equality on all of its columns, and nothing else
};

// What one statement asks of one table.
struct TableUse {
    unsigned table = 0;                         // whatever identifies it
    std::vector<KeyColumn> equal;               // compared for equality with what is known before the table is read
    std::vector<KeyColumn> joined;              // compared for equality with another table's column
    std::vector<KeyColumn> range;               // compared otherwise
    std::vector<std::vector<KeyColumn>> orders; // that rows are wanted in; each begins with an ascending column
    std::vector<ExistingIndex> indexes;
};

struct Candidate {
    unsigned table = 0;
    std::vector<KeyColumn> columns;

    [[nodiscard]] std::string definition() const; // of its columns, with commas
};

// The indexes that might serve a use: columns compared for equality first, those with more values before those with
// fewer; then one that is compared otherwise, or those that give the order.
std::vector<Candidate> candidates_for(const TableUse &use);

// Whether a candidate might serve a use at all: its first column is asked for.
bool serves(const TableUse &use, const Candidate &candidate);

// Whether an index that there is does what the candidate would do for the use: it leads with the same columns, as far
// as the use can make use of the candidate's.
bool covered(const TableUse &use, const Candidate &candidate);

struct AskingStatement {
    double calls = 1;
    double cost = 0; // as it is planned now
    std::vector<TableUse> uses;
};

// What the planner says that a statement costs, for each of some sets of candidates (by their positions) as if they
// were there. Infinity: it can't be planned.
using CostsOf = std::function<std::vector<double>(size_t statement, const std::vector<std::vector<size_t>> &sets)>;

struct Choice {
    size_t candidate = 0;
    std::vector<size_t> statements; // that it makes quicker
    double calls = 0;               // of them
    double cost_before = 0;         // of one call of them, on average, with the choices before this one
    double cost_after = 0;          // and with this one too
};

// Chooses candidates one after the other, always the one that saves most beside those chosen already. A statement
// counts where it saves at least min_gain (0 to 1) of its cost, and no index that there is covers the candidate. What
// another choice makes superfluous is given up in the end. At most `most` are chosen.
std::vector<Choice> choose(const std::vector<AskingStatement> &statements, const std::vector<Candidate> &candidates,
                           const CostsOf &costs_of, double min_gain, size_t most);

} // namespace wc::core
