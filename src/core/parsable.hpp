// Normalised statements that the parser can read: a constant has become $n also where the grammar takes nothing else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wc::core {

// The statement with TYPE $1 (interval $1, date $1, timestamp with time zone $1) as a cast, and without the modifiers
// of types (varchar($1), numeric($1, $2)). All else stays as it is, and so does what can't be told.
std::string parsable(std::string_view normalised);

// The parameters of a statement in their order from `position` (a byte's, from 0) on, the nearest first, then those
// before it, the nearest first; each number once.
std::vector<int> parameters_near(std::string_view statement, size_t position);

} // namespace wc::core
