// The locks that refreshes know each other by: advisory ones of a class that SQL functions can't name. Private to the
// room.
#pragma once

#include "pg/guard.hpp"

namespace wc::refresh {

// Two refreshes of one view never meet: taken first, to the end of the transaction. False: it could not be got at once,
// and the caller doesn't want to wait. Waiting is bounded by lock_timeout (55P03).
bool lock_refresh(Oid view, bool wait);

// A refresh of a whole view is about to make the log count from its snapshot for a view that it did not count for
// before. Until that is committed nobody can see from where, so nobody may prune: to the end of the transaction.
void announce_whole();

// For as long as it lives no such refresh is under way, if taken() says so.
class NoneAnnounced {
  public:
    NoneAnnounced(); // does not wait
    NoneAnnounced(const NoneAnnounced &) = delete;
    NoneAnnounced &operator=(const NoneAnnounced &) = delete;
    ~NoneAnnounced();
    [[nodiscard]] bool taken() const { return taken_; }

  private:
    bool taken_;
    int exceptions_;
};

} // namespace wc::refresh
