// How the health of databases is shown in SQL.
#pragma once

#include "monitor/registry.hpp"
#include "pg/spi.hpp"

namespace wc::monitor::health {

// healthy, consecutive_failures, last_check, last_failure, duration_ms, failing, reason. Throws Error.
pg::Row shown(const registry::Database &database);

// The same of one that nothing is known of, with why that is. Throws Error.
pg::Row shown_unknown(Oid database);

} // namespace wc::monitor::health
