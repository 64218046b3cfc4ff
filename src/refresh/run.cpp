// One view from beginning to end.
#include "refresh/run.hpp"

#include "pg/guc.hpp"
#include "pg/worker.hpp"
#include "refresh/prune.hpp"
#include "refresh/record.hpp"

#include <chrono>

extern "C" {
#include "utils/timeout.h"
}

namespace wc::refresh {

namespace {

// What writing a failure into the log may wait for a lock, in milliseconds: nothing it needs is held for long.
constexpr int log_patience = 1000;

struct Clock {
    TimestampTz started = GetCurrentTimestamp();
    std::chrono::steady_clock::time_point from = std::chrono::steady_clock::now();
    [[nodiscard]] double milliseconds() const {
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count();
    }
};

// Our message: the condition's name and names of objects. The server's own text may carry values of rows.
std::string describe(const std::string &view, int sqlstate, const std::string &reason, const char *constraint) {
    std::string text = pg::condition_name(sqlstate) + " while refreshing " + view;
    if (!reason.empty())
        text += ": " + reason;
    else if (constraint != nullptr)
        text += std::string(": constraint ") + constraint;
    return text;
}

void set_failed(Outcome &outcome, const Clock &clock, int sqlstate, const std::string &reason,
                const char *constraint = nullptr) {
    outcome.status = Outcome::Status::Failed;
    outcome.rows_written.reset();
    outcome.row_count.reset();
    outcome.duration_ms = clock.milliseconds();
    outcome.sqlstate = sqlstate;
    outcome.message = describe(outcome.view, sqlstate, reason, constraint);
}

// isolate(f): runs f, undoes what it did if it throws an Error, and returns that.
template <typename Isolate> void log_failure(const Job &job, Outcome &outcome, const Clock &clock, Isolate isolate) {
    const auto unlogged = isolate([&] {
        const Settings settings(log_patience);
        record(job, outcome, clock.started, {});
    });
    if (unlogged)
        outcome.message += "; " + pg::condition_name(unlogged->sqlstate()) + " while writing wc_refresh_log";
}

// Restores capture triggers that are switched off or missing, each table's in a transaction of its own: their locks are
// let go of before the refresh begins. What can't be restored now stays as it is: the refresh computes the whole view,
// says why, and the next one tries again. Returns what must end the refresh too.
std::optional<pg::Error> mend(const std::vector<std::string> &tables) {
    for (const auto &table : tables) {
        const auto failure = pg::transaction([&] {
            const Settings settings(pg::settings::lock_timeout);
            const pg::ActiveSnapshot snapshot;
            pg::Spi spi;
            (void)schema::mend_triggers(spi, table);
        });
        if (failure && failure->ends_statement())
            return failure;
    }
    return {};
}

template <typename Isolate> Outcome run(Job job, Isolate isolate, int (*stopped)()) {
    const Clock clock;
    Outcome outcome;
    outcome.view = job.view;
    Traces traces;
    const auto attempt = [&] {
        const Settings settings(pg::settings::lock_timeout);
        traces = perform(job, outcome);
        if (!traces.mend.empty())
            return;
        outcome.duration_ms = clock.milliseconds();
        if (outcome.status == Outcome::Status::Skipped)
            outcome.message = "skipped " + job.view + ": " + outcome.message;
        record(job, outcome, clock.started, traces);
        if (outcome.status == Outcome::Status::Refreshed)
            prune_changes(job.view);
    };
    auto failure = isolate(attempt);
    if (!failure && !traces.mend.empty()) {
        failure = mend(traces.mend);
        job.may_mend = false;
        if (!failure)
            failure = isolate(attempt);
    }
    if (failure) {
        const int told = stopped != nullptr ? stopped() : 0;
        if (told != 0 && job.origin == Origin::Live) { // sent away for a moment: not a failure
            outcome.status = Outcome::Status::Skipped;
            return outcome;
        }
        if (told == 0)
            set_failed(outcome, clock, failure->sqlstate(), outcome.message, failure->data().constraint_name);
        else if (told == ERRCODE_LOCK_NOT_AVAILABLE)
            set_failed(outcome, clock, told, "the calling transaction holds a lock that it needs");
        else
            set_failed(outcome, clock, told, "");
        log_failure(job, outcome, clock, isolate);
    }
    return outcome;
}

} // namespace

Outcome run_here(const Job &job) {
    return run(
        job, [](auto &&f) { return pg::attempt(f); }, nullptr);
}

Outcome run_alone(const Job &job, int (*stopped)()) {
    Job alone = job;
    alone.may_mend = true;
    return run(
        alone,
        [](auto &&f) {
            auto failure = pg::transaction(f);
            if (failure) { // neither the time that is over nor who ended it may keep it from being logged
                pg::call([] { disable_timeout(STATEMENT_TIMEOUT, false); });
                pg::WorkerProcess::finish();
            }
            return failure;
        },
        stopped);
}

Outcome fail_here(const Job &job, int sqlstate, const std::string &reason) {
    const Clock clock;
    Outcome outcome;
    outcome.view = job.view;
    set_failed(outcome, clock, sqlstate, reason);
    log_failure(job, outcome, clock, [](auto &&f) { return pg::attempt(f); });
    return outcome;
}

} // namespace wc::refresh
