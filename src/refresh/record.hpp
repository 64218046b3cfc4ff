// The memory of refreshes: wc_refresh_log and wc_view_state.
#pragma once

#include "refresh/perform.hpp"

namespace wc::refresh {

// Whether this database has a change log, and with it the columns of 1.1.0; one that is still at 1.0.0 has neither.
bool has_change_log();

// Writes an attempt into the log, in the open transaction, as the extension's owner; a successful one into the view's
// state too; and prunes what is older than whitecross.refresh_log_days, a bounded number of rows. Waits for no other
// refresh. traces: of a successful one.
void record(const Job &job, const Outcome &outcome, TimestampTz started, const Traces &traces);

// What the last successful refresh of a view left.
struct Recorded {
    std::string clock;
    std::string consumed; // empty: the view's pending changes were given up
    bool ahead = false;   // its clock is later than the one asked about
    int64_t row_count = 0;
    Marks marks;
    Plan plan;
};

// Under the active snapshot. clock: of the refresh that asks. Nothing where none is on record.
std::optional<Recorded> recall(pg::Spi &spi, const std::string &view, const std::string &clock);

// Milliseconds that the last refresh of each view took.
std::map<std::string, double> last_durations();

} // namespace wc::refresh
