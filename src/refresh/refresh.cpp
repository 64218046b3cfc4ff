// A refresh of some views: where it runs, in which order, and how its rows look.
#include "refresh/refresh.hpp"

#include "pg/guc.hpp"
#include "refresh/crew.hpp"
#include "refresh/live.hpp"
#include "refresh/record.hpp"
#include "refresh/run.hpp"
#include "refresh/schedule.hpp"

namespace wc::refresh {

namespace {

constexpr int most_workers = 1024; // as whitecross.max_refresh_workers

// How many workers; 0: in this session.
int number_of_workers(const Request &request) {
    const int workers = request.workers.value_or(pg::settings::max_refresh_workers);
    if (workers < 0 || workers > most_workers)
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "number of workers out of range: " + std::to_string(workers),
                        {},
                        "Give a number from 0 (refresh in this session) to " + std::to_string(most_workers) +
                            ", or NULL for whitecross.max_refresh_workers.");
    return workers;
}

// Workers can't see what this transaction has written, and what it writes may be what is to be refreshed.
bool only_visible_here() {
    return TransactionIdIsValid(GetTopTransactionIdIfAny()) || creating_extension;
}

Job job_for(const schema::View &view, const Request &request) {
    Job job;
    job.view = view.name;
    job.relid = view.relid;
    job.mode = request.mode;
    job.conflict = request.conflict;
    job.origin = request.origin;
    return job;
}

// wc_install() calls it for a view that it has just made.
std::optional<std::string> fill(pg::Spi &, const schema::View &view) {
    Job job;
    job.view = view.name;
    job.relid = view.relid;
    job.mode = core::Mode::Full;
    job.origin = Origin::Install;
    job.analyze = true;
    const Outcome outcome = run_here(job);
    if (outcome.status == Outcome::Status::Refreshed)
        return {};
    return pg::condition_name(outcome.sqlstate);
}

} // namespace

const char *name(Outcome::Status status) {
    switch (status) {
    case Outcome::Status::Refreshed:
        return "refreshed";
    case Outcome::Status::Failed:
        return "failed";
    case Outcome::Status::Skipped:
        return "skipped";
    }
    return "";
}

const char *name(Origin origin) {
    switch (origin) {
    case Origin::Manual:
        return "manual";
    case Origin::Schedule:
        return "schedule";
    case Origin::Install:
        return "install";
    case Origin::Live:
        return "live";
    }
    return "";
}

std::vector<Outcome> refresh(const Request &request) {
    pg::require_writable(request.function);
    const int workers = number_of_workers(request);
    const bool here = workers == 0 || only_visible_here();
    if (here && IsolationUsesXactSnapshot())
        throw pg::Error(ERRCODE_ACTIVE_SQL_TRANSACTION,
                        std::string("cannot execute ") + request.function +
                            " inside a REPEATABLE READ or SERIALIZABLE transaction",
                        "Its snapshot may be older than the view's contents: a refresh would put old rows back.",
                        "Call it in a READ COMMITTED transaction; or before this transaction has written anything, and "
                        "with background workers.");

    const auto durations = last_durations();
    std::vector<core::Task> tasks;
    for (const auto &view : request.views) {
        const auto found = durations.find(view.name);
        tasks.push_back({view.name, found == durations.end() ? std::nullopt : std::optional(found->second)});
    }
    std::vector<size_t> order = core::longest_first(tasks);
    std::vector<Job> jobs;
    for (const size_t i : order)
        jobs.push_back(job_for(request.views[i], request));

    std::vector<Outcome> done;
    if (here) {
        for (const auto &job : jobs)
            done.push_back(run_here(job));
    } else {
        done = run_in_workers(jobs, workers);
    }
    std::vector<Outcome> outcomes(done.size());
    for (size_t i = 0; i < done.size(); ++i)
        outcomes[order[i]] = std::move(done[i]);
    return outcomes;
}

pg::Row row(const Outcome &outcome) {
    const auto number = [](const std::optional<int64_t> &value) {
        return value ? pg::Text(std::to_string(*value)) : pg::Text();
    };
    return {outcome.view,
            outcome.mode ? pg::Text(core::name(*outcome.mode)) : pg::Text(),
            name(outcome.status),
            number(outcome.rows_written),
            std::to_string(outcome.duration_ms),
            outcome.sqlstate != 0 ? pg::Text(pg::sqlstate_text(outcome.sqlstate)) : pg::Text(),
            outcome.message.empty() ? pg::Text() : pg::Text(outcome.message)};
}

void init() {
    schema::on_view_made(fill);
    schema::on_views_installed(schedule_after_install);
    live::init();
}

} // namespace wc::refresh
