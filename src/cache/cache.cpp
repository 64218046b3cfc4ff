// The cache's parts, in the order in which they start.
#include "cache/cache.hpp"

namespace wc::cache {

void init() {}

} // namespace wc::cache
