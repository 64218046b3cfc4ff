// The settings of the result cache.
#include "pg/guc_cache.hpp"

#include "pg/prelude.hpp"

namespace wc::pg::settings::cache {

bool on = true;
int entries = 1000;
int size = 65536;
int max_entry = 1024;
int wait = 1000;

void define() {
    // What the server needs at its start: a session that loads the library later can't define these.
    if (process_shared_preload_libraries_in_progress) {
        DefineCustomIntVariable("whitecross.cache_entries", "Results of queries that are kept in shared memory.",
                                "0 keeps none.", &entries, 1000, 0, 1000000, PGC_POSTMASTER, 0, nullptr, nullptr,
                                nullptr);
        DefineCustomIntVariable("whitecross.cache_size", "Shared memory for their rows.", nullptr, &size, 65536, 1024,
                                64 * 1024 * 1024, PGC_POSTMASTER, GUC_UNIT_KB, nullptr, nullptr, nullptr);
    }
    DefineCustomBoolVariable("whitecross.cache", "wc_cached() uses the result cache.",
                             "Needs the library in shared_preload_libraries.", &on, true, PGC_USERSET, 0, nullptr,
                             nullptr, nullptr);
    DefineCustomIntVariable("whitecross.cache_max_entry", "The largest result that is kept.", nullptr, &max_entry, 1024,
                            1, 1024 * 1024, PGC_SUSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("whitecross.cache_wait", "How long a call waits for another session that runs its query.",
                            "After that it runs the query itself. 0 never waits.", &wait, 1000, 0, 60000, PGC_USERSET,
                            GUC_UNIT_MS, nullptr, nullptr, nullptr);
}

} // namespace wc::pg::settings::cache
