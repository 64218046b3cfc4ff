// One view, in the transaction or subtransaction that is open: locks, the way to go, REFRESH MATERIALIZED VIEW.
#pragma once

#include "pg/transaction.hpp"
#include "refresh/refresh.hpp"

namespace wc::refresh {

// What is to be done with one view.
struct Job {
    std::string view;
    Oid relid = InvalidOid;
    core::Mode mode = core::Mode::Auto;
    core::Conflict conflict = core::Conflict::Wait;
    Origin origin = Origin::Manual;
    bool in_worker = false;
    bool analyze = false; // afterwards: for a view that has never been analyzed
};

// What a refresh leaves besides its outcome.
struct Traces {
    TimestampTz snapshot_at = 0; // what was committed before stands in the view
    std::string filenode;        // of the view, afterwards
};

// Refreshes the view as its owner, or sets status Skipped. Fills outcome as it goes; where it throws, outcome.mode is
// the way it would have gone, and outcome.message a reason in our words, or empty.
// Locks, in this order: ours for this view (so that two refreshes never meet), then the view's, both to the end of the
// transaction; only then is the snapshot taken. Settings are the caller's: see Settings.
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
