// What ALTER ROLE ... SET has set for a role in all databases.
#pragma once

#include "pg/spi.hpp"

namespace wc::pg::role_settings {

// From here to the end of the transaction whoever else calls this for the role waits, in whatever database, and nobody
// else does: neither ALTER ROLE nor GRANT nor who logs in. Who may not alter the role, or not in this transaction,
// takes no lock. Throws Error: cancel, timeout, deadlock.
void lock(Oid role);

// One setting as it is now, whatever snapshot the transaction has; empty: not set.
Text get(Oid role, const std::string &setting);

} // namespace wc::pg::role_settings
