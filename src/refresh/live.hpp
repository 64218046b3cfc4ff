// Live mode: a background worker in each database that switches it on keeps the views true as changes are committed and
// as time passes. Files: live (what sessions do), live_board (what the processes share), live_launcher, live_worker.
#pragma once

namespace wc::refresh::live {

// This transaction has noted a change, or done something else after which the views are to be looked at: if it commits,
// the database's worker is woken. Costs nothing.
void noted() noexcept;

// Subscribes to the server's events and registers the launcher. Called once, by _PG_init.
void init();

} // namespace wc::refresh::live
