// Changes of pg_cron's jobs that wait for the end of the caller's transaction.
#pragma once

#include "refresh/cron.hpp"

namespace wc::refresh::cron {

// From a database that isn't pg_cron's: makes the change there if and when the caller's transaction commits. Nothing
// happens if it, or the subtransaction that asked, rolls back. The work itself is tried before the commit, in a worker
// of its own: what makes it impossible makes the commit fail, with that error.
void at_commit(const Change &change);

// Removes this database's jobs if the extension is gone when the transaction commits: in the same transaction where
// pg_cron is here, by at_commit()'s way where it isn't.
void remove_when_gone(Oid extension);

} // namespace wc::refresh::cron
