// Whether something that is checked again and again is well: it takes a few failures in a row to be called unhealthy,
// and one good check to be healthy again.
//
// Plain data that all zeros make "not checked yet": it is kept in shared memory.
#pragma once

#include <cstdint>

namespace wc::core {

struct Health {
    std::uint32_t failures = 0; // in a row
    bool checked = false;
    bool unhealthy = false;
};

constexpr std::uint32_t failures_to_unhealthy = 3;

// Takes in the outcome of a check. Returns whether that changed the verdict.
bool take_in(Health &health, bool passed) noexcept;

} // namespace wc::core
