// Mixing 64-bit numbers for hash tables and fingerprints: the finaliser of MurmurHash3, which has no secret.
#pragma once

#include "pg/prelude.hpp"

namespace wc::observe {

inline uint64 mix(uint64 value) noexcept {
    value ^= value >> 33;
    value *= UINT64CONST(0xff51afd7ed558ccd);
    value ^= value >> 33;
    value *= UINT64CONST(0xc4ceb9fe1a85ec53);
    return value ^ value >> 33;
}

} // namespace wc::observe
