// Whether the server loads the library at its start.
#include "pg/preloaded.hpp"

#include "pg/spi.hpp"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace wc::pg {

namespace {

bool loaded_at_start = false;

// What the server loads now; empty where the caller may not see it.
std::string loaded_libraries() {
    const char *libraries = call([]() -> const char * {
        const bool may_see = is_member_of_role(GetOuterUserId(), ROLE_PG_READ_ALL_SETTINGS);
        return may_see ? GetConfigOption("shared_preload_libraries", true, false) : nullptr;
    });
    return libraries != nullptr ? libraries : "";
}

} // namespace

void note_preloading() {
    loaded_at_start = process_shared_preload_libraries_in_progress;
}

bool preloaded() {
    return loaded_at_start;
}

void require_preloaded() {
    if (loaded_at_start && !IsBinaryUpgrade) // pg_upgrade runs a server without what watches it
        return;
    const std::string libraries = loaded_libraries();
    throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "whitecross must be loaded via \"shared_preload_libraries\"",
                "What is counted while statements run needs shared memory, which is made when the server starts.",
                "In postgresql.conf set shared_preload_libraries = " +
                    quote_value(libraries.empty() ? "whitecross" : libraries + ",whitecross") +
                    " (what is there already has to stay), and restart the server.");
}

} // namespace wc::pg
