// The tables that are a table's, to who invalidates by hand.
#pragma once

#include "pg/guard.hpp"

namespace wc::cache {

// A table or view, with its partitions and all that inherit from it. Throws Error: 42P01 there is no such relation,
// 42809 it holds no rows that are read by its name.
std::vector<Oid> relatives_of(Oid relation);

} // namespace wc::cache
