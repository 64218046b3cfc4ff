// The result cache without a second tier, where the library is built without hiredis: there never is one.
#include "cache/second_tier.hpp"

#include "cache/generations.hpp"

namespace wc::cache::second_tier {

bool configured() noexcept {
    return false;
}

Name name_of(const Digest &, const Dependency *, size_t) {
    return {};
}

bool fetch(const Name &, bool, Found &) {
    return false;
}

void keep(const Name &, const Entry &) {}

Status status() {
    Status status;
    status.state = State::NotBuilt;
    return status;
}

void init() {}

} // namespace wc::cache::second_tier
