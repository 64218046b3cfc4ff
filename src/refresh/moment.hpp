// The one snapshot and the one clock of a refresh. Private to the room.
#pragma once

#include "pg/transaction.hpp"
#include "pg/worker.hpp"

namespace wc::refresh {

// While it lives, its snapshot is the active one, and {now} in definitions is its clock. Make it when every lock is
// held.
class Moment {
  public:
    Moment();

    // {now}: whitecross.now where that is set, else the time of the snapshot.
    [[nodiscard]] const std::string &clock() const { return clock_; }

    // Another clock from here on, as text that timestamp_text() gave.
    void set_clock(const std::string &clock);

    // When the snapshot was taken, by the server's clock: what was committed before is in it.
    [[nodiscard]] TimestampTz taken_at() const { return taken_at_; }

    // What the snapshot sees, as a pg_snapshot. Of this transaction itself it sees what was written so far, but not
    // what it may write yet: so that counts as not seen.
    [[nodiscard]] std::string consumed() const;

  private:
    pg::SettingScope settings_;
    TimestampTz taken_at_; // before the snapshot: so it shows all that was committed until then
    pg::ActiveSnapshot snapshot_;
    std::string clock_;
};

// A time as text that means the same whatever the session's settings are.
std::string timestamp_text(TimestampTz at);

} // namespace wc::refresh
