// The room's beginning: what subscribes where the server loads the library at its start.
#include "observe/observe.hpp"

#include "observe/bursts.hpp"
#include "observe/history.hpp"
#include "observe/slow.hpp"
#include "observe/totals.hpp"
#include "observe/tracker.hpp"
#include "observe/violations.hpp"
#include "pg/hooks.hpp"
#include "pg/preloaded.hpp"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace wc::observe {

void init() {
    violations::init();
    if (pg::hooks::server_is_starting() && !IsBinaryUpgrade) {
        totals::init();
        slow::init();
        bursts::init();
        tracker::init();
        history::init();
    }
}

bool preloaded() {
    return pg::preloaded();
}

void require_preloaded() {
    pg::require_preloaded();
}

Viewer::Viewer() {
    role_ = GetUserId();
    all_ = pg::call([this] { return has_privs_of_role(role_, ROLE_PG_READ_ALL_STATS); });
}

} // namespace wc::observe
