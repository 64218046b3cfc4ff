// Tables that a query names: which of them the cache can't follow.
#pragma once

#include "cache/refusal.hpp"
#include "pg/prelude.hpp"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace wc::cache {

constexpr int most_tables = 1024; // that a query names, or that a table consists of

// Whether rows of a table, or of what belongs to it (partitions, children), can't be followed; why not. Plain server
// code.
bool is_refused(const RangeTblEntry *table, Refusal *why);

} // namespace wc::cache
