// The room's beginning: whether the server loads the library at its start, and what subscribes then.
#include "observe/observe.hpp"

#include "observe/bursts.hpp"
#include "observe/history.hpp"
#include "observe/slow.hpp"
#include "observe/totals.hpp"
#include "observe/tracker.hpp"
#include "observe/violations.hpp"
#include "pg/hooks.hpp"
#include "pg/spi.hpp"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace wc::observe {

namespace {

bool loaded_at_start = false;

// What the server loads now; empty where the caller may not see it.
std::string loaded_libraries() {
    const char *libraries = pg::call([]() -> const char * {
        const bool may_see = is_member_of_role(GetOuterUserId(), ROLE_PG_READ_ALL_SETTINGS);
        return may_see ? GetConfigOption("shared_preload_libraries", true, false) : nullptr;
    });
    return libraries != nullptr ? libraries : "";
}

} // namespace

void init() {
    loaded_at_start = process_shared_preload_libraries_in_progress;
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
    return loaded_at_start;
}

void require_preloaded() {
    if (loaded_at_start && !IsBinaryUpgrade) // pg_upgrade runs a server without what watches it
        return;
    const std::string libraries = loaded_libraries();
    throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "whitecross must be loaded via \"shared_preload_libraries\"",
                    "What is counted while statements run needs shared memory, which is made when the server starts.",
                    "In postgresql.conf set shared_preload_libraries = " +
                        pg::quote_value(libraries.empty() ? "whitecross" : libraries + ",whitecross") +
                        " (what is there already has to stay), and restart the server.");
}

Viewer::Viewer() {
    role_ = GetUserId();
    all_ = pg::call([this] { return has_privs_of_role(role_, ROLE_PG_READ_ALL_STATS); });
}

} // namespace wc::observe
