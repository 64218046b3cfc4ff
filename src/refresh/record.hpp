// The memory of refreshes: wc_refresh_log and wc_view_state.
#pragma once

#include "refresh/perform.hpp"

namespace wc::refresh {

// Writes an attempt into the log, in the open transaction, as the extension's owner; a successful one into the view's
// state too; and prunes what is older than whitecross.refresh_log_days, a bounded number of rows. Waits for no other
// refresh. traces: of a successful one.
void record(const Job &job, const Outcome &outcome, TimestampTz started, const Traces &traces);

// Milliseconds that the last refresh of each view took.
std::map<std::string, double> last_durations();

} // namespace wc::refresh
