// A number for the shape of a plan.
#pragma once

#include "pg/prelude.hpp"

extern "C" {
#include "nodes/plannodes.h"
}

namespace wc::observe {

// The same for plans that do the same things to the same relations by the same indexes in the same order, whatever the
// constants; another (but for a collision of 64 bits) for plans that don't. Which partitions are left out by constants
// makes no difference as long as each is read in the same way. Never 0. Neither allocates nor raises.
uint64 plan_hash(const PlannedStmt *statement) noexcept;

} // namespace wc::observe
