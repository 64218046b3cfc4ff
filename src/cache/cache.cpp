// The cache's parts, in the order in which they start.
#include "cache/cache.hpp"

#include "cache/fills.hpp"
#include "cache/generations.hpp"
#include "cache/second_tier.hpp"
#include "cache/secret.hpp"
#include "cache/stats.hpp"
#include "cache/store.hpp"
#include "cache/watch.hpp"

namespace wc::cache {

void init() {
    secret::init();
    generations::init();
    stats::init();
    store::init();
    fills::init();
    second_tier::init();
    Watch::init();
}

} // namespace wc::cache
