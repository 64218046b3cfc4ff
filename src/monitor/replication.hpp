// How far standbys, and whoever else follows the write-ahead log, are behind: in time, from both ends.
#pragma once

#include "core/trail.hpp"
#include "pg/guard.hpp"

namespace wc::monitor {

struct Lag {
    std::string subject; // the follower's application_name, "slot ..." of one that nobody is connected to, or standby
    double seconds;
};

// Looks again and again, and remembers where the log stood: the age of what a follower has not applied yet is known
// then, even if the follower has stopped and says nothing new.
class Replication {
  public:
    // Of each follower of this server; and of this server, where it is a standby itself. In a transaction. Throws
    // Error. now: milliseconds of a clock that is never set back.
    std::vector<Lag> look(int64 now);

  private:
    int64 own_lag(int64 now);

    int64 streamed_at_ = 0; // when this standby was last seen to have a primary; 0: not looked for yet
    core::Trail log_{int64{24} * 3600000, 5000}; // positions of the log by time: a day of them, 5 s apart
};

} // namespace wc::monitor
