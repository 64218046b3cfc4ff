// The cache's parts, in the order in which they start.
#include "cache/cache.hpp"

#include "cache/generations.hpp"
#include "cache/secret.hpp"

namespace wc::cache {

void init() {
    secret::init();
    generations::init();
}

} // namespace wc::cache
