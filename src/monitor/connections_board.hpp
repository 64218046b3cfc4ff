// The latest sample of connections, in shared memory. Private to the connections.
#pragma once

#include "monitor/connections.hpp"

namespace wc::monitor::connections::board {

// Puts a sample in the place of the latest one. Only the monitor.
void put(const Sample &sample);

} // namespace wc::monitor::connections::board
