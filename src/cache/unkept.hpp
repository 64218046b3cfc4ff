// Questions whose rows this session could not keep when it asked them last (too large, read from what can't be
// followed): it makes nobody wait for them again, and waits for nobody.
#pragma once

#include "cache/store.hpp"

namespace wc::cache::unkept {

// Whether it was so. A bounded number is remembered, by chance which.
bool is(const Digest &digest) noexcept;

void remember(const Digest &digest) noexcept;
void forget(const Digest &digest) noexcept;

} // namespace wc::cache::unkept
