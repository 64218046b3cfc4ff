// The health of the databases that have the extension: each is checked from inside, again and again, by a visitor.
#pragma once

#include "pg/duty.hpp"

namespace wc::monitor::health {

// Subscribes to what is needed. Called once, by the room's init(), while the server loads the library at its start.
void init();

// What the monitor does for it: finds the databases that have the extension, and has each looked at every
// whitecross.health_interval.
std::unique_ptr<pg::Duty> duty();

} // namespace wc::monitor::health
