// The cache's parts, in the order in which they start.
#include "cache/cache.hpp"

#include "cache/generations.hpp"

namespace wc::cache {

void init() {
    generations::init();
}

} // namespace wc::cache
