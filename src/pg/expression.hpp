// Expressions as the server understands them: analysed, compared, searched for functions that aren't built in.
#pragma once

#include "pg/guard.hpp"

#include <string>
#include <vector>

namespace wc::pg {

// Whether a boolean expression over a relation's columns, as written, means what a stored expression tree
// (pg_constraint.conbin or pg_index.indpred, in text form) means. predicate: an index predicate, not a CHECK.
// Throws Error where the expression can't be analysed.
bool same_expression(Oid relation, const std::string &expression, const std::string &stored, bool predicate);

// Whether a text is one expression and nothing else: no second statement, clause or comment that would change the
// meaning of the statement it is put into. Throws Error where it can't be parsed at all.
bool is_single_expression(const std::string &text);

// Whether a SELECT has a sub-select in it. Throws Error where it can't be analysed.
bool has_subselect(const std::string &select);

// Analyses a SELECT and returns the name of the first function, operator or cast in it that isn't built in; nothing
// where all are. Throws Error where it can't be analysed.
std::optional<std::string> foreign_function(const std::string &select);

// The names that an expression refers to by, as written and folded: {"column"}, {"table", "column"}; a star is an empty
// name. Parses only: looks nothing up and locks nothing. Throws Error where it can't be parsed.
std::vector<std::vector<std::string>> referenced_names(const std::string &expression);

} // namespace wc::pg
