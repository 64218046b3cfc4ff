// The server watched: its connections, PgBouncer, the health of its databases, alerts, by a process of its own that
// runs from the server's start to its end.
#pragma once

namespace wc::monitor {

// Has the server run that process. Called once, in _PG_init, before the hooks are installed.
void init();

} // namespace wc::monitor
