// How long to wait before what failed is tried again: twice as long each time, up to a limit.
#pragma once

#include <algorithm>
#include <chrono>

namespace wc::core {

class Backoff {
  public:
    using Time = std::chrono::milliseconds;

    // first: the wait after the first failure; greater than zero.
    explicit Backoff(Time first) : first_(first), next_(first) {}

    // It has failed: the wait until the next attempt, at most that long.
    Time failed(Time most) {
        const Time wait = std::min(next_, std::max(most, first_));
        next_ = wait * 2;
        return wait;
    }

    void succeeded() { next_ = first_; }

  private:
    Time first_;
    Time next_;
};

} // namespace wc::core
