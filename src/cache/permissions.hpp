// What the current user may do with a query that it does not run: the checks of the server's executor, for each hit.
#pragma once

#include "pg/guard.hpp"

namespace wc::cache {

// checked: what compat::note_checked_tables() has put into a list. Throws Error 42501, as running the query would.
void check_permissions(List *checked, const std::vector<Oid> &functions);

} // namespace wc::cache
