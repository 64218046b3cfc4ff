// Whether something that is checked again and again is well.
#include "core/health.hpp"

#include <limits>

namespace wc::core {

bool take_in(Health &health, bool passed) noexcept {
    const bool before = health.unhealthy;
    health.checked = true;
    if (passed)
        health.failures = 0;
    else if (health.failures < std::numeric_limits<std::uint32_t>::max())
        health.failures++;
    health.unhealthy = health.failures >= failures_to_unhealthy;
    return health.unhealthy != before;
}

} // namespace wc::core
