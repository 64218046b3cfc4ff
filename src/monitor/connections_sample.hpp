// The two halves of a sample of connections: what processes do, which needs no lock and no catalogue, and what
// databases and roles are called and limited to. Private to the connections.
#pragma once

#include "monitor/connections.hpp"

namespace wc::monitor::connections {

// Groups and limits, without databases and roles. Takes no lock, and needs no transaction. Throws Error (cancel).
Sample count();

// Adds the databases and roles of the groups; what was dropped has no name. In a transaction. Throws Error.
void name_groups(Sample &sample);

} // namespace wc::monitor::connections
