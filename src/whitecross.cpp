// The library's entry: named initialisations in order, nothing else.
#include "cache/cache.hpp"
#include "monitor/monitor.hpp"
#include "observe/observe.hpp"
#include "pg/guc.hpp"
#include "pg/hooks.hpp"
#include "pg/module.hpp"
#include "pg/preloaded.hpp"
#include "refresh/refresh.hpp"

extern "C" WC_EXPORT void _PG_init(void);

extern "C" void _PG_init(void) {
    wc::pg::entry([] {
        wc::pg::note_preloading();
        wc::pg::settings::define();
        wc::refresh::init();
        wc::cache::init();
        wc::observe::init();
        wc::monitor::init();
        wc::pg::hooks::install();
    });
}
