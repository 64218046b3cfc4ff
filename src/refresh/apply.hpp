// Writing the rows of a materialized view that differ from its definition. Private to the room.
#pragma once

#include "refresh/consume.hpp"

namespace wc::refresh {

struct Written {
    int64_t inserted = 0;
    int64_t updated = 0;
    int64_t deleted = 0;
};

// Runs the plan's query for differing rows of these keys under the active snapshot, and writes them while it reads: the
// snapshot does not see what is written. Below the executor, which takes no DML on a materialized view; so what that
// would check is the caller's business: privileges, a lock on the view (ROW EXCLUSIVE), a view that is populated, a
// transaction that may write. To be called with the identity of the view's owner, whose functions an index may call.
// Throws 23505 with the index as constraint where the definition gives a key twice.
Written apply(pg::Spi &spi, Oid view, const Plan &plan, const Keys &keys);

} // namespace wc::refresh
