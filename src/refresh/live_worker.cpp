// The worker of live mode: one in each database that has it. It sleeps, without a transaction or a snapshot, until a
// commit has noted something or a moment comes at which rows change by time alone; then it refreshes the views that
// this concerns, each in a transaction of its own, by the way that wc_refresh() goes.
#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/worker.hpp"
#include "refresh/live_board.hpp"
#include "refresh/live_look.hpp"
#include "refresh/run.hpp"

#include <algorithm>

extern "C" {
#include "pgstat.h"
#include "utils/backend_status.h"
#include "utils/ps_status.h"
WC_EXPORT void wc_live_worker(Datum argument);
}

namespace wc::refresh::live {

namespace {

// A view that is busy (another session refreshes it, a command has locked it) is tried again so often before the worker
// waits in line for it.
constexpr int patient_skips = 5;

// A refresh of a whole view is followed by so many times its own duration without another one of it.
constexpr double rest_after_whole = 9;

// The longest sleep: so the clock may be set without the worker missing more than this. It looks at nothing but the
// time.
constexpr long longest_sleep_ms = 60L * 60 * 1000;

// While more and more is committed, when a view that was refreshed changes by time alone is asked only if it has not
// been refreshed again for so long: what time has changed is in every refresh.
constexpr long patient_moment_ms = 500;

// Between two refreshes of a view by time alone.
constexpr double breath_ms = 100;

// What the worker remembers of a view between two rounds.
struct Watch {
    Oid relid = InvalidOid;
    bool waiting =
        false; // it is to be refreshed: in doubt, failed or busy the last time, or kept from it by not_before
    TimestampTz not_before = 0;
    int failures = 0;           // in a row
    int skips = 0;              // in a row
    std::string clock;          // of the refresh that it shows
    TimestampTz clock_seen = 0; // when that was first seen
    bool moment_known = false;  // for that clock
    TimestampTz moment = 0;     // when its rows change by time alone; 0: never
};

TimestampTz after(TimestampTz from, double milliseconds) {
    return from + static_cast<TimestampTz>(milliseconds * 1000);
}

// When to try again after so many failures in a row.
TimestampTz later(int failures) {
    return GetCurrentTimestamp() + backoff(failures).count() * USECS_PER_SEC;
}

// Anything but rows that were refreshed by their keys.
bool is_whole(const Outcome &outcome) {
    return outcome.mode == core::Mode::Full || outcome.mode == core::Mode::Concurrent;
}

int stopped() {
    return pg::WorkerProcess::stop_requested() ? ERRCODE_ADMIN_SHUTDOWN : 0;
}

class Worker {
  public:
    // Until it is told to leave, or finds nothing to do here. Returns what to leave behind.
    State run() {
        for (;;) {
            const TimestampTz next = round();
            if (last_word_)
                return *last_word_;
            board::looks_at(next);
            rest(next);
            if (leaving())
                return State::Stopped;
        }
    }

  private:
    static bool leaving() { return pg::WorkerProcess::stop_requested() || board::told_to_leave(); }

    // Refreshes what is to be refreshed now. Returns when to look again without being woken; 0: never.
    TimestampTz round() {
        began_ = GetCurrentTimestamp();
        doubt_ = board::begin() || doubt_;
        sqlstate_ = 0;
        Look look;
        if (const auto failure = pg::transaction([&look] { look = look_around(); })) {
            board::failed(failure->sqlstate());
            return retry_at_ = later(++failures_);
        }
        failures_ = 0;
        retry_at_ = 0;
        if (look.absent) {
            last_word_ = *look.absent;
            return 0;
        }
        take_in(look.views);
        bool all = true;
        bool refreshed = false;
        TimestampTz next = 0;
        for (const auto &view : look.views) {
            Watch &watch = watches_[view.view.name];
            const TimestampTz now = GetCurrentTimestamp();
            if (view.pending || (watch.moment_known && watch.moment != 0 && watch.moment <= now))
                watch.waiting = true;
            if (watch.waiting && watch.not_before <= now) {
                refreshed = refresh(view, watch) || refreshed;
            } else if (!watch.waiting && !watch.moment_known &&
                       (!refreshed || now >= after(watch.clock_seen, patient_moment_ms))) {
                ask_moment(view, watch);
            }
            if (leaving())
                return 0;
            all = all && !watch.waiting;
            if (watch.waiting)
                next = earliest(next, watch.not_before);
            else if (watch.moment_known)
                next = earliest(next, watch.moment);
        }
        if (all)
            board::went_well();
        else if (sqlstate_ != 0)
            board::failed(sqlstate_);
        // What was refreshed has another clock now, and another moment: that is asked next time, if nothing new has
        // come.
        return refreshed ? began_ : next;
    }

    // What the views are now, against what is remembered of them.
    void take_in(const std::vector<LookedAt> &views) {
        forget_all_but(views);
        for (const auto &view : views) {
            Watch &watch = watches_[view.view.name];
            if (std::exchange(watch.relid, view.view.relid) != view.view.relid) {
                watch = {};
                watch.relid = view.view.relid;
                watch.waiting = true; // nothing is known of it yet
            }
            if (watch.clock != view.clock) {
                watch.clock = view.clock;
                watch.clock_seen = began_;
                watch.moment_known = false;
            }
            watch.waiting = watch.waiting || doubt_;
        }
        doubt_ = false;
    }

    // Returns whether it was refreshed; otherwise it stays waiting until not_before.
    bool refresh(const LookedAt &view, Watch &watch) {
        Job job;
        job.view = view.view.name;
        job.relid = view.view.relid;
        job.origin = Origin::Live;
        job.in_worker = true;
        job.conflict = watch.skips < patient_skips ? core::Conflict::Skip : core::Conflict::Wait;
        pg::call([&] { pgstat_report_activity(STATE_RUNNING, job.view.c_str()); });
        const Outcome outcome = run_alone(job, stopped);
        pg::WorkerProcess::go_on();
        const TimestampTz now = GetCurrentTimestamp();
        switch (outcome.status) {
        case Outcome::Status::Skipped:
            watch.skips++;
            watch.not_before = after(now, 1000);
            return false;
        case Outcome::Status::Failed:
            set_back(watch, outcome.sqlstate);
            return false;
        case Outcome::Status::Refreshed:
            break;
        }
        watch.waiting = false;
        watch.skips = watch.failures = 0;
        watch.not_before = is_whole(outcome) ? after(now, rest_after_whole * outcome.duration_ms) : 0;
        return true;
    }

    void ask_moment(const LookedAt &view, Watch &watch) {
        TimestampTz moment = 0;
        if (const auto failure = pg::transaction([&] { moment = next_moment(view); })) {
            set_back(watch, failure->sqlstate());
            return;
        }
        // Never in a row without a breath, whatever a view's own definition says of its moments.
        watch.moment = moment == 0 ? 0 : std::max(moment, after(watch.clock_seen, breath_ms));
        watch.moment_known = true;
    }

    void set_back(Watch &watch, int sqlstate) {
        sqlstate_ = sqlstate;
        watch.waiting = true;
        watch.not_before = later(++watch.failures);
    }

    void forget_all_but(const std::vector<LookedAt> &views) {
        std::erase_if(watches_, [&](const auto &watch) {
            return std::none_of(views.begin(), views.end(),
                                [&](const LookedAt &view) { return view.view.name == watch.first; });
        });
    }

    static TimestampTz earliest(TimestampTz a, TimestampTz b) {
        if (a == 0 || b == 0)
            return std::max(a, b);
        return std::min(a, b);
    }

    // Sleeps until there is something to do: after news, until the round before is whitecross.live_refresh_delay ago.
    void rest(TimestampTz next) {
        pg::call([] {
            pgstat_report_stat(true);
            pgstat_report_activity(STATE_IDLE, nullptr);
        });
        while (!leaving()) {
            TimestampTz until = next;
            if (board::has_news()) {
                until = after(began_, pg::settings::live_refresh_delay);
                if (failures_ > 0)
                    until = std::max(until, retry_at_);
            }
            const TimestampTz now = GetCurrentTimestamp();
            if (until != 0 && until <= now)
                return;
            pg::sleep_idle(until == 0 ? longest_sleep_ms
                                      : std::min(longest_sleep_ms, TimestampDifferenceMilliseconds(now, until) + 1));
        }
    }

    std::map<std::string, Watch> watches_;
    std::optional<State> last_word_;
    TimestampTz began_ = 0;
    bool doubt_ = true; // of every view: what happened before the worker came is not known
    int sqlstate_ = 0;  // of the round's last failure
    int failures_ = 0;  // of whole rounds, in a row
    TimestampTz retry_at_ = 0;
};

void use_own_settings() {
    // The database's defaults may say otherwise. Each refresh takes its snapshot when it has its locks.
    pg::call([] {
        SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_SESSION);
        SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_SESSION);
    });
}

void work(Datum argument) {
    pg::WorkerProcess process;
    Oid database = InvalidOid;
    if (!board::attach(DatumGetInt32(argument), &database))
        return;
    State last_word = State::Stopped;
    try {
        process.connect(database);
        use_own_settings();
        last_word = Worker().run();
    } catch (const pg::Error &error) {
        if (!pg::WorkerProcess::stop_requested()) { // else it is what stopping it looks like
            board::failed(error.sqlstate());
            last_word = State::Failed;
            // The server's own text may carry values of rows.
            const std::string condition = pg::condition_name(error.sqlstate());
            const char *const text = condition.c_str();
            pg::call([=] { ereport(LOG, (errmsg("live refresh is started again after an error: %s", text))); });
        }
    }
    board::leave(last_word);
}

} // namespace

} // namespace wc::refresh::live

void wc_live_worker(Datum argument) {
    wc::pg::entry([=] { wc::refresh::live::work(argument); });
}
