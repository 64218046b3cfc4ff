// The launcher of live mode: one process a server, connected to no database, that starts a worker for each database
// whose settings switch live mode on. It sleeps until a session says that settings may have changed, a worker ends, the
// configuration is read again, or a worker is due to be tried again.
// The settings of databases can't be read without a connection: a scout, a process of a moment, does that.
#include "pg/databases.hpp"
#include "pg/guc.hpp"
#include "pg/spi.hpp"
#include "pg/transaction.hpp"
#include "pg/worker.hpp"
#include "refresh/live_board.hpp"

#include <algorithm>
#include <map>

extern "C" {
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
WC_EXPORT void wc_live_launcher(Datum argument);
WC_EXPORT void wc_live_scout(Datum argument);
}

namespace wc::refresh::live {

namespace {

// A database to read the settings of all in: any will do, but a template may be about to be copied.
Oid any_database() {
    Oid best = InvalidOid;
    for (const pg::Database &database : pg::databases()) {
        if (database.connectable && !database.is_template)
            return database.oid;
        if (database.connectable)
            best = database.oid;
    }
    return best;
}

class Launcher {
  public:
    // Does what there is to do now. Returns when to look again at the latest; 0: when woken.
    TimestampTz look() {
        const TimestampTz now = GetCurrentTimestamp();
        look_at_scout(now);
        if (!scout_ && board::take_survey()) // what is asked while one is out is for the next
            survey_wanted_ = true;
        if (survey_wanted_ && !scout_ && now >= scout_at_)
            send_scout(now);
        if (survey_wanted_) // what is known of the databases may not hold any more
            return scout_ ? 0 : scout_at_;
        TimestampTz next = 0;
        for (int number = 0; number < board::slots(); ++number) {
            const TimestampTz due = look_at(number, now);
            if (due != 0 && (next == 0 || due < next))
                next = due;
        }
        return next;
    }

  private:
    void send_scout(TimestampTz now) {
        const Oid database = any_database();
        surveyed_before_ = board::surveys();
        if (OidIsValid(database))
            scout_ = pg::FreeWorker::start({"wc_live_scout", "whitecross live scout", "whitecross live scout"},
                                           ObjectIdGetDatum(database));
        if (!scout_)
            try_scout_later(now);
    }

    void look_at_scout(TimestampTz now) {
        if (!scout_ || scout_->running())
            return;
        scout_->forget();
        scout_.reset();
        if (board::surveys() == surveyed_before_) {
            try_scout_later(now);
            return;
        }
        survey_wanted_ = false;
        scout_failures_ = 0;
        scout_at_ = 0;
    }

    void try_scout_later(TimestampTz now) { scout_at_ = now + backoff(++scout_failures_).count() * USECS_PER_SEC; }

    TimestampTz look_at(int number, TimestampTz now) {
        const auto started = started_.find(number);
        if (started != started_.end() && !started->second.running()) {
            started->second.forget();
            started_.erase(started);
            board::not_started(number, State::Failed); // of no effect where it had attached
        }
        const Status status = board::slot(number);
        if (!OidIsValid(status.database) || !status.wanted || status.held || status.pid != 0 ||
            started_.contains(number))
            return 0;
        if (status.state == State::NoExtension || status.state == State::OldExtension)
            return 0;
        if (status.retry_at > now)
            return status.retry_at;
        board::starting(number);
        const auto worker = pg::FreeWorker::start(
            {"wc_live_worker", "whitecross live refresh", "whitecross live refresh"}, Int32GetDatum(number));
        if (worker) {
            started_.emplace(number, *worker);
            return 0;
        }
        board::not_started(number, State::NoProcess);
        return board::slot(number).retry_at;
    }

    bool survey_wanted_ = true;
    std::optional<pg::FreeWorker> scout_;
    uint32 surveyed_before_ = 0;
    int scout_failures_ = 0;
    TimestampTz scout_at_ = 0;
    std::map<int, pg::FreeWorker> started_; // by slot; until the process is gone
};

void launch() {
    pg::call([] {
        pqsignal(SIGHUP, SignalHandlerForConfigReload);
        pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
        BackgroundWorkerUnblockSignals();
        BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    });
    board::be_launcher(pg::settings::live_refresh);
    Launcher launcher;
    while (ShutdownRequestPending == 0) {
        const TimestampTz next = launcher.look();
        pg::sleep_idle(next == 0 ? -1 : TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next));
        board::on_by_default(pg::settings::live_refresh);
    }
}

// The databases that live mode is on for: by their own setting, else by that of all (ALTER ROLE ALL), else by the
// configuration. Templates are left alone: who copies one wants it to itself.
std::vector<Oid> find_databases() {
    const bool by_default = board::is_on_by_default();
    const pg::ActiveSnapshot snapshot;
    pg::Spi spi;
    const auto rows = spi.query(
        "SELECT d.oid, coalesce(own.value, everywhere.value) FROM pg_catalog.pg_database AS d "
        "LEFT JOIN LATERAL (SELECT substring(c FROM '^whitecross\\.live_refresh=(.*)$') AS value "
        "  FROM pg_catalog.pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS c "
        "  WHERE s.setdatabase = d.oid AND s.setrole = 0 AND c LIKE 'whitecross.live\\_refresh=%') AS own ON true "
        "LEFT JOIN LATERAL (SELECT substring(c FROM '^whitecross\\.live_refresh=(.*)$') AS value "
        "  FROM pg_catalog.pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS c "
        "  WHERE s.setdatabase = 0 AND s.setrole = 0 AND c LIKE 'whitecross.live\\_refresh=%') AS everywhere ON true "
        "WHERE d.datallowconn AND NOT d.datistemplate AND d.datconnlimit >= -1 ORDER BY d.oid");
    std::vector<Oid> found;
    for (const auto &row : rows.rows) {
        bool on = by_default;
        if (row[1] && !parse_bool(row[1]->c_str(), &on)) // set where the library wasn't loaded to check it
            on = false;
        if (on)
            found.push_back(pg::oid_of(row[0]));
    }
    return found;
}

void scout(Datum database) {
    pg::WorkerProcess process;
    process.connect(DatumGetObjectId(database));
    std::vector<Oid> databases;
    const auto failure = pg::transaction([&databases] {
        pg::SettingScope settings;
        settings.set("search_path", "pg_catalog, pg_temp");
        databases = find_databases();
    });
    if (failure)
        throw *failure;
    const size_t without = board::want(databases);
    if (without > 0)
        pg::call([=] {
            ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                              errmsg("%zu databases with whitecross.live_refresh have no worker", without),
                              errhint("Raise max_worker_processes, or switch it off where it isn't needed.")));
        });
}

} // namespace

} // namespace wc::refresh::live

void wc_live_launcher(Datum) {
    wc::pg::entry([] { wc::refresh::live::launch(); });
    proc_exit(1); // with 0 the server would not start it again
}

void wc_live_scout(Datum argument) {
    wc::pg::entry([=] { wc::refresh::live::scout(argument); });
}
