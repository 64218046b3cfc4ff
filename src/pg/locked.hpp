// A lock of the server's on a piece of shared memory, held as long as the object lives.
#pragma once

#include "pg/prelude.hpp"

namespace wc::pg {

// Without exceptions: a leaf lock, under which nothing is raised and no other lock is taken.
class Locked {
  public:
    explicit Locked(LWLock *lock, LWLockMode mode = LW_EXCLUSIVE) : lock_(lock) { LWLockAcquire(lock_, mode); }
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;
    ~Locked() {
        if (lock_ != nullptr)
            LWLockRelease(lock_);
    }

  protected:
    Locked() = default; // holds nothing

  private:
    LWLock *lock_ = nullptr;
};

} // namespace wc::pg
