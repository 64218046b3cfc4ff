// Whether relations have rows, told to any role: no value is read, and no code of a site runs.
#pragma once

#include "schema/schema.hpp"

namespace wc::observe {

struct Presence {
    std::string relation;
    std::optional<bool> rows; // empty: not there, or neither a table nor a materialized view
};

// The materialized views, and the base tables that a view can't be empty without: students, student_medications,
// appointments.
std::vector<Presence> presence(pg::Spi &spi);

} // namespace wc::observe
