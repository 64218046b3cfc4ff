// What the worker of live mode sees when it looks around: which views there are to keep true, whether something has
// been committed that they don't show, and when they change next by time alone.
#pragma once

#include "refresh/live_board.hpp"
#include "schema/schema.hpp"

namespace wc::refresh::live {

struct LookedAt {
    schema::View view;
    Oid owner = InvalidOid;
    bool pending = false;    // it has changes to take up, or nobody knows
    std::string clock;       // of its last refresh
    std::string next_moment; // the query for it; empty: no row ever changes by time alone
};

struct Look {
    std::optional<State> absent; // why there is nothing to do in this database
    std::vector<LookedAt> views; // those that can be refreshed by their keys, and those of which nobody knows
};

// Both run in the open transaction. Throws Error.
Look look_around();

// When the contents of a view, as they were left by the refresh of that clock, change by time alone; 0: never. Runs as
// the view's owner.
TimestampTz next_moment(const LookedAt &view);

} // namespace wc::refresh::live
