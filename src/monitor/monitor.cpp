// The monitor: a process of the server's own, connected to no database, on a standby too. It has duties, each of which
// it looks at when its time has come, when the configuration was read again, and when what it waits for is there.
#include "monitor/monitor.hpp"

#include "monitor/alerts.hpp"
#include "monitor/connections.hpp"
#include "monitor/health.hpp"
#include "monitor/pooler.hpp"
#include "monitor/visit.hpp"
#include "observe/history.hpp"
#include "pg/duty.hpp"
#include "pg/hooks.hpp"

extern "C" {
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
WC_EXPORT void wc_monitor(Datum argument);
}

namespace wc::monitor {

namespace {

using Clock = std::chrono::steady_clock;

// A duty, when it is due, and how it goes.
class Post {
  public:
    explicit Post(std::unique_ptr<pg::Duty> duty) : duty_(std::move(duty)) {}

    [[nodiscard]] pg::Awaited awaited() const { return duty_->awaited(); }
    [[nodiscard]] Clock::time_point due() const { return looked_ ? *looked_ + duty_->interval() : Clock::time_point(); }

    void look(const pg::Awoken &awoken, Clock::time_point now) {
        const bool asked = awoken.reloaded || (awoken.by_latch && duty_->heeds_latch()) ||
                           (awoken.by_socket && duty_->awaited().socket != PGINVALID_SOCKET);
        if (!asked && now < due())
            return;
        looked_ = now;
        try {
            duty_->look();
            failed_ = 0;
        } catch (const pg::Error &error) {
            if (error.ends_statement())
                throw;
            failed(error);
        }
    }

  private:
    // Says so in the log once: a full disk would be told of each minute.
    void failed(const pg::Error &error) {
        if (std::exchange(failed_, error.sqlstate()) == error.sqlstate())
            return;
        const char *const message = error.what();
        const int sqlstate = error.sqlstate();
        const pg::Duty::Failure words = duty_->failure();
        pg::call([=] {
            ereport(WARNING, (errcode(sqlstate), errmsg("%s: %s", words.what, message), errdetail("%s", words.detail)));
        });
    }

    std::unique_ptr<pg::Duty> duty_;
    std::optional<Clock::time_point> looked_; // when it was looked at last
    int failed_ = 0;
};

// Sleeps until one of them has something to do. At most one of them waits for a socket.
pg::Awoken sleep(const std::vector<Post> &posts) {
    Clock::time_point due = Clock::time_point::max();
    pg::Awaited awaited;
    for (const Post &post : posts) {
        due = std::min(due, post.due());
        if (const pg::Awaited its = post.awaited(); its.socket != PGINVALID_SOCKET)
            awaited = its;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
    return pg::sleep_idle(std::clamp<long>(left, 0, 3600000), awaited);
}

void run() {
    pg::call([] {
        pqsignal(SIGHUP, SignalHandlerForConfigReload);
        pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
        BackgroundWorkerUnblockSignals();
        BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    });
    std::vector<Post> posts;
    posts.emplace_back(visit::duty()); // first: the others are told by it what became of what they asked for
    posts.emplace_back(health::duty());
    posts.emplace_back(observe::history::duty());
    posts.emplace_back(connections::duty());
    posts.emplace_back(pooler::duty());
    posts.emplace_back(alerts::duty()); // last: what the others have read is fresh
    pg::Awoken awoken;
    while (ShutdownRequestPending == 0) {
        const Clock::time_point now = Clock::now();
        for (Post &post : posts)
            post.look(awoken, now);
        awoken = sleep(posts);
    }
}

} // namespace

void init() {
    if (!pg::hooks::server_is_starting() || IsBinaryUpgrade)
        return;
    connections::init();
    pooler::init();
    visit::init();
    health::init();
    alerts::init();
    pg::register_static_worker({"wc_monitor", "whitecross monitor", "whitecross monitor"}, pg::On::StandbyToo);
}

} // namespace wc::monitor

void wc_monitor(Datum) {
    wc::pg::entry([] { wc::monitor::run(); });
    proc_exit(1); // with 0 the server would not start it again
}
