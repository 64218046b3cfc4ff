// Which keys of a view a refresh has to compute anew: from the change log, and from the time that has passed.
// Private to the room.
#pragma once

#include "pg/spi.hpp"
#include "pg/transaction.hpp"
#include "refresh/plan.hpp"

namespace wc::refresh {

// The keys, one array for each key column, in the memory of the connection that they were looked up with.
struct Keys {
    int64_t count = 0;
    int columns = 0;
    const Datum *arrays = nullptr; // text[]; meaningless where count is 0
};

class Consumption {
  public:
    // Reads the change log as the extension's owner under the active snapshot: what consumed, the snapshot of the last
    // refresh, has not seen. limit: of keys; a log with many times more of them is not read to its end.
    Consumption(pg::Spi &spi, const Plan &plan, const std::string &consumed, int64_t limit);

    // Why keys can't tell what changed: "table students was changed as a whole". Empty: they can.
    [[nodiscard]] const std::string &whole() const { return whole_; }

    // True where the log was not read to its end.
    [[nodiscard]] bool too_many() const { return too_many_; }

    // The view's keys: of the changes, and of the rows that time alone changes between the clock of the last refresh
    // and {now}. No more than limit + 1. Runs the view's own query, so it is called with the identity of its owner.
    [[nodiscard]] Keys keys(const std::string &consumed, const std::string &clock) const;

  private:
    const Plan &plan_;
    int64_t limit_;
    std::string whole_;
    bool too_many_ = false;
};

} // namespace wc::refresh
