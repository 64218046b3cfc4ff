// Questions whose rows could not be kept.
#include "cache/unkept.hpp"

namespace wc::cache::unkept {

namespace {

// Digests are as good as random: one that takes another's place is asked with a turn once more.
constexpr size_t most = 128;
Digest remembered[most];

Digest &place_of(const Digest &digest) noexcept {
    return remembered[digest.bytes[0] % most];
}

} // namespace

bool is(const Digest &digest) noexcept {
    return place_of(digest) == digest;
}

void remember(const Digest &digest) noexcept {
    place_of(digest) = digest;
}

void forget(const Digest &digest) noexcept {
    if (is(digest))
        place_of(digest) = Digest();
}

} // namespace wc::cache::unkept
