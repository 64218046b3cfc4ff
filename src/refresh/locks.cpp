// The locks that refreshes know each other by.
#include "refresh/locks.hpp"

namespace wc::refresh {

namespace {

// The fourth part of an advisory lock's tag is 1 or 2 for what SQL functions lock: 3 is ours. The third is the view, or
// 0 for the announcement.
LOCKTAG tag_of(Oid view) {
    constexpr uint16 ours = 3;
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, view, ours);
    return tag;
}

} // namespace

bool lock_refresh(Oid view, bool wait) {
    return pg::call([=] {
        const LOCKTAG tag = tag_of(view);
        return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
    });
}

void announce_whole() {
    pg::call([] {
        const LOCKTAG tag = tag_of(InvalidOid);
        (void)LockAcquire(&tag, ShareLock, false, false);
    });
}

NoneAnnounced::NoneAnnounced()
    : taken_(pg::call([] {
          const LOCKTAG tag = tag_of(InvalidOid);
          return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
      })),
      exceptions_(std::uncaught_exceptions()) {}

NoneAnnounced::~NoneAnnounced() {
    // On the way of an exception the (sub)transaction lets go of it.
    if (taken_ && std::uncaught_exceptions() == exceptions_) {
        const LOCKTAG tag = tag_of(InvalidOid);
        (void)LockRelease(&tag, ExclusiveLock, false);
    }
}

} // namespace wc::refresh
