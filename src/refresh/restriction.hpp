// Whether a definition of the site's gives the same rows restricted to some keys as it does as a whole. Private to the
// room.
#pragma once

#include "schema/incremental.hpp"
#include "schema/schema.hpp"

namespace wc::refresh {

struct Restriction {
    std::string problem;  // empty: none was found
    bool unknown = false; // there are too few rows to tell
};

// Tries it with a sample of the keys that there are, in two parts, and of keys that there may not be. Computes the
// whole definition once more, with the active snapshot, as the owner of the view. Needs the rights of the extension's
// owner.
Restriction try_restriction(pg::Spi &spi, const schema::View &view, const schema::Incremental &incremental);

} // namespace wc::refresh
