// The monitor: a process of the server's own, connected to no database, on a standby too. Once a minute, and whenever
// the configuration is read again, it writes the query history to its files; at a new hour it takes old ones away.
#include "observe/monitor.hpp"

#include "observe/history.hpp"
#include "observe/history_folder.hpp"
#include "pg/worker.hpp"

extern "C" {
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
WC_EXPORT void wc_monitor(Datum argument);
}

namespace wc::observe::monitor {

namespace {

constexpr long round_ms = 60000;

class History {
  public:
    void look_after() {
        try {
            tidy();
            writer_.write();
            history::note_outcome(0);
            failed_ = 0;
        } catch (const pg::Error &error) {
            if (error.ends_statement())
                throw;
            failed(error);
        }
    }

  private:
    // Removes what is left of an earlier run, and then at each hour what is too old.
    void tidy() {
        const int64 first = history::oldest_hour();
        if (first == first_)
            return;
        if (!first_)
            history::folder::remove_unfinished();
        history::prune();
        first_ = first;
    }

    // Says so in the log once: a full disk would be told of each minute.
    void failed(const pg::Error &error) {
        history::note_outcome(error.sqlstate());
        if (std::exchange(failed_, error.sqlstate()) == error.sqlstate())
            return;
        const char *const message = error.what();
        const int sqlstate = error.sqlstate();
        pg::call([=] {
            ereport(WARNING, (errcode(sqlstate), errmsg("the query history is not written: %s", message),
                              errdetail("It is tried again each minute. Hours of which memory is let go are lost.")));
        });
    }

    history::Writer writer_;
    std::optional<int64> first_;
    int failed_ = 0;
};

void run() {
    pg::call([] {
        pqsignal(SIGHUP, SignalHandlerForConfigReload);
        pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
        BackgroundWorkerUnblockSignals();
        BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    });
    history::be_monitor();
    History history;
    while (ShutdownRequestPending == 0) {
        history.look_after();
        pg::sleep_idle(round_ms);
    }
}

} // namespace

void init() {
    pg::register_static_worker({"wc_monitor", "whitecross monitor", "whitecross monitor"}, pg::On::StandbyToo);
}

} // namespace wc::observe::monitor

void wc_monitor(Datum) {
    wc::pg::entry([] { wc::observe::monitor::run(); });
    proc_exit(1); // with 0 the server would not start it again
}
