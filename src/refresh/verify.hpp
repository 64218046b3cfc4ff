// Whether a view holds what its definition says. Private to the room.
#pragma once

#include "refresh/refresh.hpp"

namespace wc::refresh {

struct Verdict {
    std::optional<int64_t> missing; // rows that the definition gives and the view lacks; empty: it is not populated
    std::optional<int64_t> extra;   // rows that the view has and the definition doesn't give
    std::optional<int64_t> pending; // changes that its last refresh has not seen; empty: not known
};

// Compares the contents with the definition evaluated at the clock of the view's last refresh (the present one, where
// none of ours has left these contents), in one snapshot, as the view's owner. Reads only. Needs the rights of the
// extension's owner. Throws Error: 55P03 where the view is locked for longer than whitecross.lock_timeout.
Verdict verify(const schema::View &view);

} // namespace wc::refresh
