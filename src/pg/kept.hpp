// Plans that a session keeps: of statements that it runs again and again with other values, parsed and planned once.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace wc::pg {

// The plan of a statement, made at its first use; count parameters of these types. It is a generic one, made without a
// look at values, and the server makes it anew by itself once anything that it rests on has changed; settings of the
// planner count as they were then. A session keeps the most_kept plans used last.
// Plain server code, within a connection to the server programming interface: call it inside a guard.
SPIPlanPtr kept_plan(const char *sql, int count, Oid *types);

inline constexpr int most_kept = 128;

} // namespace wc::pg
