// One view, in the transaction or subtransaction that is open: locks, the way to go, the refresh itself.
#pragma once

#include "pg/transaction.hpp"
#include "refresh/plan.hpp"
#include "refresh/refresh.hpp"
#include "refresh/trust.hpp"

namespace wc::refresh {

// What is to be done with one view.
struct Job {
    std::string view;
    Oid relid = InvalidOid;
    core::Mode mode = core::Mode::Auto;
    core::Conflict conflict = core::Conflict::Wait;
    Origin origin = Origin::Manual;
    bool in_worker = false;
    bool analyze = false;  // afterwards: for a view that has never been analyzed
    bool may_mend = false; // triggers can be restored in another transaction before this one
};

// What a refresh leaves besides its outcome, for the next one to begin with.
struct Traces {
    TimestampTz snapshot_at = 0;   // what was committed before stands in the view
    Oid filenode = InvalidOid;     // of the view, afterwards
    std::string clock;             // {now} of the refresh
    std::string consumed;          // pg_snapshot: what it has seen
    std::optional<Marks> marks;    // of what the change log rests on; empty: as recorded already
    std::optional<Plan> plan;      // empty: as recorded already
    std::vector<std::string> mend; // nothing was done yet: the triggers of these tables are to be restored first
};

// Refreshes the view as its owner, or sets status Skipped. Fills outcome as it goes; where it throws, outcome.mode is
// the way it would have gone, and outcome.message a reason in our words, or empty.
// Locks, in this order: ours for this view (so that two refreshes never meet), then the view's, both to the end of the
// transaction; only then is the one snapshot taken with which changes are consumed, rows computed and written, so that
// a change is in all of it or in none. Settings are the caller's: see Settings.
Traces perform(const Job &job, Outcome &outcome);

// The settings a refresh runs under, whoever called it: for the life of the object.
class Settings {
  public:
    // lock_timeout: milliseconds; 0: no limit.
    explicit Settings(int lock_timeout);

  private:
    pg::SettingScope scope_;
};

} // namespace wc::refresh
