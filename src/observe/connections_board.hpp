// The latest sample of connections, in shared memory. Private to the connections.
#pragma once

#include "observe/connections.hpp"

namespace wc::observe::connections::board {

// Puts a sample in the place of the latest one. Only the monitor.
void put(const Sample &sample);

} // namespace wc::observe::connections::board
