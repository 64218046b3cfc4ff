// Whether the server loads the library at its start: what needs shared memory does nothing without it.
#pragma once

namespace wc::pg {

// Notes it. Called once, first thing in _PG_init.
void note_preloading();

// True where it stands in shared_preload_libraries.
bool preloaded();

// Throws 55000, with the line for postgresql.conf, where it doesn't: there is no shared memory then.
void require_preloaded();

} // namespace wc::pg
