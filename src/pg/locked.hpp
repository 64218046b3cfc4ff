// A lock of the server's on a piece of shared memory, held as long as the object lives.
#pragma once

#include "pg/prelude.hpp"

namespace wc::pg {

// Of a leaf lock: nothing is raised under it, and no other lock taken.
class Locked {
  public:
    // null: there is nothing to be kept out, and nothing is held.
    explicit Locked(LWLock *lock, LWLockMode mode = LW_EXCLUSIVE) : lock_(lock) {
        if (lock_ != nullptr)
            LWLockAcquire(lock_, mode);
    }
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;
    ~Locked() {
        if (lock_ != nullptr)
            LWLockRelease(lock_);
    }

  private:
    LWLock *lock_;
};

} // namespace wc::pg
