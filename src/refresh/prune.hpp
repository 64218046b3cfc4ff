// Keeping the change log short. Private to the room.
#pragma once

#include "pg/spi.hpp"

namespace wc::refresh {

// After a successful refresh of a view, in its transaction: takes away a bounded number of changes that every view has
// taken up. Where the log is longer than whitecross.change_log_limit all the same, views that lag so far behind are to
// be computed as a whole the next time. Waits for nobody: what can't be done now is done by the next refresh.
void prune_changes(const std::string &view);

} // namespace wc::refresh
