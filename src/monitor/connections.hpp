// The server's connections: a sample of them, taken when somebody asks, and by the monitor again and again. What counts
// are the sessions of clients, which max_connections limits: no background workers, no WAL senders, no autovacuum.
#pragma once

#include "core/connections.hpp"
#include "pg/duty.hpp"
#include "pg/guard.hpp"

namespace wc::monitor::connections {

using core::connections::Row;
using core::connections::Sample;

// Makes the shared memory for the latest sample. Called once, by the room's init(), while the server loads the library
// at its start.
void init();

// What there is now, by the server's memory of its processes and the catalogues' names and limits. In a transaction.
// Needs no preloaded library. Throws Error.
Sample take();

// The latest sample that the monitor has put into shared memory; nothing where it has taken none yet. Only where the
// library is preloaded; needs no transaction. A group that has no connection any more isn't in it.
std::optional<Sample> latest();

// What the monitor does for it: samples each whitecross.monitor_interval.
std::unique_ptr<pg::Duty> duty();

} // namespace wc::monitor::connections
