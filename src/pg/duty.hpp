// Something that the monitor does again and again (see monitor.cpp).
#pragma once

#include "pg/worker.hpp"

#include <chrono>

namespace wc::pg {

class Duty {
  public:
    // In words for the server's log: what is not done when it fails, and what that means.
    struct Failure {
        const char *what;
        const char *detail;
    };

    Duty() = default;
    Duty(const Duty &) = delete;
    Duty &operator=(const Duty &) = delete;
    virtual ~Duty() = default;

    // How long from one look to the next, at most. By a clock that setting the time of day does not move.
    [[nodiscard]] virtual std::chrono::milliseconds interval() const = 0;

    // Does what there is to do. Must not wait for anything: what takes time is a worker's, or asked of a socket. What
    // it throws is told in the log, once for each kind of error, and it is looked at again after interval().
    virtual void look() = 0;

    [[nodiscard]] virtual Failure failure() const = 0;

    // Whether it looks at once when the process is woken: a worker of its has started or ended, or a session asks.
    [[nodiscard]] virtual bool heeds_latch() const { return false; }

    // What it waits for besides. It looks when that is there.
    [[nodiscard]] virtual pg::Awaited awaited() const { return {}; }
};

} // namespace wc::pg
