// What the library's entry calls of this room, and what the room's functions ask first.
#pragma once

namespace wc::observe {

// Notes whether the server loads the library at its start, and subscribes to what is observed. Called once, by
// _PG_init.
void init();

// True where it stands in shared_preload_libraries.
bool preloaded();

// Throws 55000, with the line for postgresql.conf, where it doesn't: there is no shared memory then.
void require_preloaded();

} // namespace wc::observe
