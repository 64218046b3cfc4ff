// What the library's entry calls of this room.
#pragma once

namespace wc::observe {

// Notes whether the server loads the library at its start. Called once, by _PG_init.
void init();

// True where it stands in shared_preload_libraries.
bool preloaded();

} // namespace wc::observe
