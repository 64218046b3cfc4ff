// What the worker of live mode sees when it looks around: which views there are to keep true, whether something has
// been committed that they don't show, and when they change next by time alone.
#pragma once

#include "refresh/live_board.hpp"
#include "schema/schema.hpp"

namespace wc::refresh::live {

struct LookedAt {
    schema::View view;
    bool pending = false;        // its contents aren't what they should be, or nobody knows
    TimestampTz next_moment = 0; // when they change by time alone, after what they show now; 0: never
};

struct Look {
    std::optional<State> absent; // why there is nothing to do in this database
    std::vector<LookedAt> views;
};

// Both run in the open transaction, and take a snapshot of their own. Throws Error.
Look look_around();

// Sets next_moment for what the view shows now, after a refresh.
void look_again(LookedAt &view);

} // namespace wc::refresh::live
