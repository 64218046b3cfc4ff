// Rows of the extension's own tables that logical replication brings: the work behind wc_ignore_replicated(). Private
// to the room.
#pragma once

#include "pg/guard.hpp"

namespace wc::refresh {

// One call of the trigger: the row, or nothing where it came from another server. Throws 39P01 where it is not called
// as the trigger that it is made for.
Datum without_replicated(FunctionCallInfo fcinfo);

} // namespace wc::refresh
