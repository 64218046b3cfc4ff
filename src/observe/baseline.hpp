// Named copies of the statistics of statement patterns, to compare with later ones. They are rows of tables of ours, in
// the database where they were taken, of the patterns of all databases.
#pragma once

#include "pg/spi.hpp"

namespace wc::observe::baseline {

// Keeps a copy of what the calling role may see of wc_query_stats. Returns the number of patterns. Throws 22023 for an
// empty name, 42710 where there is one of that name.
int64 take(pg::Spi &spi, const std::string &name);

// Forgets a copy. Returns the number of patterns. Throws 42704 where there is none of that name.
int64 drop(pg::Spi &spi, const std::string &name);

// Rows of wc_compare_baseline(), of what the calling role may see. Throws 42704 as above.
std::vector<pg::Row> compare(pg::Spi &spi, const std::string &name);

} // namespace wc::observe::baseline
