// The process that looks after what this room keeps, once a minute, from the server's start to its end.
#pragma once

namespace wc::observe::monitor {

// Has the server run it. Called once, by the room's init(), while the server loads the library at its start.
void init();

} // namespace wc::observe::monitor
