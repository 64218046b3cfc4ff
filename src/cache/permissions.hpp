// What the current user may do with a query that it does not run: the checks of the server's executor, for each hit.
#pragma once

#include "pg/guard.hpp"

namespace wc::cache {

// checked: what compat::note_checked_tables() has put into a list. Throws Error 42501, as running the query would.
void check_tables(List *checked);

// Those of the functions that the current user may not call. What the planner leaves out isn't checked when a query
// runs, so it may run all the same. Throws Error where there is no such function any more.
std::vector<Oid> forbidden(const std::vector<Oid> &functions);

} // namespace wc::cache
