// Refreshing in background workers.
//   Assignment   what a worker is to do and what became of it: plain memory that both sides share
//   Crew         the starter's side: workers that are running, stopped together
// A worker takes one view after another, each in a transaction of its own: to start a process takes longer than to
// refresh what a few changes touch.
//   wc_refresh_worker   the worker's side
#include "refresh/crew.hpp"

#include "pg/worker.hpp"
#include "refresh/run.hpp"

#include <algorithm>
#include <deque>

extern "C" {
#include "pgstat.h"
#include "storage/proc.h"
#include "utils/backend_status.h"
#include "utils/timeout.h"
WC_EXPORT void wc_refresh_worker(Datum argument);
}

namespace wc::refresh {

namespace {

// The caller's settings that a worker works under too.
constexpr const char *handed_over[] = {
    "whitecross.now", "whitecross.lock_timeout", "whitecross.refresh_log_days", "whitecross.change_log_limit",
    "work_mem",       "maintenance_work_mem"};

// Whose turn it is. The one side writes the rest of the assignment before it says so.
enum Stage : int {
    assigned, // the worker's: it has not begun
    begun,    // the worker's
    finished, // the starter's: the worker waits for another assignment
    leaving,  // the starter's: it was the worker's last one
};

struct Assignment {
    int stage;
    // Written by the starter before the worker begins.
    Oid database;
    Oid relid;
    char view[NAMEDATALEN];
    core::Mode mode;
    core::Conflict conflict;
    Origin origin;
    TimestampTz deadline; // of the calling statement; 0: none
    // Written by the starter before it stops the worker: the SQLSTATE to report. 0: somebody else stopped it.
    volatile int stopped_with;
    // Written by the worker, read by the starter once the process is gone.
    bool done;
    bool has_mode;
    core::Mode way;
    Outcome::Status status;
    int64_t rows_written; // -1: none
    int64_t row_count;    // -1: none
    double duration_ms;
    int sqlstate;
    char message[512];
    // Followed by the settings: name, value, name, value, ..., each ending in a zero byte, then an empty name.
};

Stage stage_of(const Assignment &assignment) {
    return static_cast<Stage>(__atomic_load_n(&assignment.stage, __ATOMIC_ACQUIRE));
}

void set_stage(Assignment &assignment, Stage stage) {
    __atomic_store_n(&assignment.stage, static_cast<int>(stage), __ATOMIC_RELEASE);
}

std::string settings_text() {
    std::string text;
    for (const char *name : handed_over) {
        const char *value = pg::call([=] { return GetConfigOption(name, true, false); });
        if (value != nullptr)
            text.append(name).append(1, '\0').append(value).append(1, '\0');
    }
    return text.append(1, '\0');
}

// Writes an assignment over another one, or over zeroes.
void assign(Assignment &assignment, const Job &job) {
    Assignment next = {};
    next.stage = finished; // until all of it is there
    next.database = MyDatabaseId;
    next.relid = job.relid;
    strlcpy(next.view, job.view.c_str(), sizeof(next.view));
    next.mode = job.mode;
    next.conflict = job.conflict;
    next.origin = job.origin;
    if (get_timeout_active(STATEMENT_TIMEOUT))
        next.deadline = get_timeout_finish_time(STATEMENT_TIMEOUT);
    assignment = next;
    set_stage(assignment, assigned);
}

std::unique_ptr<pg::Worker> start(const Job &job) {
    Assignment assignment = {};
    assign(assignment, job);
    std::string bytes(reinterpret_cast<const char *>(&assignment), sizeof(assignment));
    bytes += settings_text();
    const pg::Worker::Program program = {"wc_refresh_worker", "whitecross refresh", "whitecross refresh " + job.view};
    return pg::Worker::start(program, bytes.data(), bytes.size());
}

// What the worker left. One that is gone without a word was ended before it could write any.
Outcome result(const Job &job, const Assignment &left) {
    if (!left.done)
        return fail_here(job, left.stopped_with != 0 ? left.stopped_with : ERRCODE_ADMIN_SHUTDOWN,
                         "its background worker ended early");
    Outcome outcome;
    outcome.view = job.view;
    if (left.has_mode)
        outcome.mode = left.way;
    outcome.status = left.status;
    if (left.rows_written >= 0)
        outcome.rows_written = left.rows_written;
    if (left.row_count >= 0)
        outcome.row_count = left.row_count;
    outcome.duration_ms = left.duration_ms;
    outcome.sqlstate = left.sqlstate;
    outcome.message = left.message;
    return outcome;
}

// Workers that are running. When it goes, all are told to stop before the first is waited for.
class Crew {
  public:
    struct Member {
        size_t job;
        std::unique_ptr<pg::Worker> worker;
        bool again = false; // it has had an assignment before
        bool idle = false;  // told to end, for want of another assignment
        [[nodiscard]] Assignment &assignment() const { return *static_cast<Assignment *>(worker->memory()); }
        void stop(int sqlstate) const {
            assignment().stopped_with = sqlstate;
            worker->stop();
        }
    };

    Crew() = default;
    Crew(const Crew &) = delete;
    Crew &operator=(const Crew &) = delete;
    ~Crew() {
        for (const auto &member : members)
            member.stop(ERRCODE_QUERY_CANCELED);
    }

    // Waits for news. While this session waits for a worker that waits for a lock of this session's, the server sees no
    // deadlock: so, as often as it looks for those, we look for this.
    void wait() {
        pg::Worker::wait(DeadlockTimeout);
        const TimestampTz now = GetCurrentTimestamp();
        if (!TimestampDifferenceExceeds(looked_, now, DeadlockTimeout))
            return;
        looked_ = now;
        for (const auto &member : members) {
            const int pid = member.worker->pid();
            if (pid != 0 && !member.idle && member.assignment().stopped_with == 0 && pg::waits_for_this_session(pid))
                member.stop(ERRCODE_LOCK_NOT_AVAILABLE);
        }
    }

    std::vector<Member> members;

  private:
    TimestampTz looked_ = GetCurrentTimestamp();
};

} // namespace

namespace {

// Looks after one worker. False: it is gone.
bool attend(Crew::Member &member, const std::vector<Job> &jobs, std::deque<size_t> &waiting,
            std::vector<Outcome> &outcomes) {
    const bool gone = !member.worker->running(); // before the look at what it left
    if (member.idle)
        return !gone;
    const Stage stage = stage_of(member.assignment());
    if (!gone && stage != finished && stage != leaving)
        return true;
    if (gone && stage == assigned && member.again) { // ended between two assignments: another one takes it
        waiting.push_front(member.job);
        return false;
    }
    outcomes[member.job] = result(jobs[member.job], member.assignment());
    if (gone)
        return false;
    if (stage == finished && member.assignment().stopped_with == 0 && !waiting.empty()) {
        member.job = waiting.front();
        member.again = true;
        waiting.pop_front();
        assign(member.assignment(), jobs[member.job]); // ends with: it is the worker's turn
        member.worker->wake();
    } else {
        member.idle = true;
        member.worker->stop();
    }
    return true;
}

} // namespace

std::vector<Outcome> run_in_workers(const std::vector<Job> &jobs, int limit) {
    std::vector<Outcome> outcomes(jobs.size());
    std::deque<size_t> waiting;
    for (size_t i = 0; i < jobs.size(); ++i)
        waiting.push_back(i);
    Crew crew;
    while (!waiting.empty() || !crew.members.empty()) {
        while (!waiting.empty() && crew.members.size() < static_cast<size_t>(limit)) {
            auto worker = start(jobs[waiting.front()]);
            if (worker == nullptr)
                break;
            crew.members.push_back({waiting.front(), std::move(worker)});
            waiting.pop_front();
        }
        if (crew.members.empty()) {
            const Job &job = jobs[waiting.front()];
            outcomes[waiting.front()] = IsolationUsesXactSnapshot()
                                            ? fail_here(job, ERRCODE_ACTIVE_SQL_TRANSACTION,
                                                        "no background worker is free, and a REPEATABLE READ or "
                                                        "SERIALIZABLE transaction can't refresh by itself")
                                            : run_here(job);
            waiting.pop_front();
            continue;
        }
        crew.wait();
        for (auto member = crew.members.begin(); member != crew.members.end();)
            member = attend(*member, jobs, waiting, outcomes) ? std::next(member) : crew.members.erase(member);
    }
    return outcomes;
}

namespace {

const Assignment *current = nullptr; // the worker's own

// The SQLSTATE to report if somebody told this worker to stop; 0: nobody did.
int stopped() {
    if (!pg::WorkerProcess::stop_requested())
        return 0;
    return current->stopped_with != 0 ? current->stopped_with : ERRCODE_ADMIN_SHUTDOWN;
}

void apply_settings(const char *text) {
    const auto set = [](const char *name, const char *value) {
        pg::call([=] { SetConfigOption(name, value, PGC_SUSET, PGC_S_SESSION); });
    };
    while (*text != '\0') {
        const char *value = text + strlen(text) + 1;
        set(text, value);
        text = value + strlen(value) + 1;
    }
    // The database's defaults may say otherwise. Each refresh takes its snapshot when it has its locks.
    set("default_transaction_isolation", "read committed");
    set("default_transaction_read_only", "off");
}

void carry_out(Assignment &assignment) {
    Job job;
    job.view = assignment.view;
    job.relid = assignment.relid;
    job.mode = assignment.mode;
    job.conflict = assignment.conflict;
    job.origin = assignment.origin;
    job.in_worker = true;
    pg::call([&] {
        pgstat_report_activity(STATE_RUNNING, assignment.view);
        SetConfigOption("application_name", psprintf("whitecross refresh %s", assignment.view), PGC_USERSET,
                        PGC_S_SESSION);
        if (assignment.deadline != 0)
            enable_timeout_at(STATEMENT_TIMEOUT, assignment.deadline);
    });
    const Outcome outcome = run_alone(job, stopped);
    pg::call([] { disable_timeout(STATEMENT_TIMEOUT, false); });
    assignment.has_mode = outcome.mode.has_value();
    assignment.way = outcome.mode.value_or(core::Mode::Full);
    assignment.status = outcome.status;
    assignment.rows_written = outcome.rows_written.value_or(-1);
    assignment.row_count = outcome.row_count.value_or(-1);
    assignment.duration_ms = outcome.duration_ms;
    assignment.sqlstate = outcome.sqlstate;
    strlcpy(assignment.message, outcome.message.c_str(), sizeof(assignment.message));
    assignment.done = true;
}

void work(Datum argument) {
    pg::WorkerProcess process(argument);
    if (process.memory() == nullptr)
        return;
    auto &assignment = *static_cast<Assignment *>(process.memory());
    current = &assignment;
    process.connect(assignment.database);
    apply_settings(reinterpret_cast<const char *>(&assignment + 1));
    for (;;) {
        set_stage(assignment, begun);
        carry_out(assignment);
        if (pg::WorkerProcess::stop_requested()) {
            set_stage(assignment, leaving);
            return;
        }
        pg::WorkerProcess::go_on();
        pg::call([] {
            pgstat_report_stat(true);
            pgstat_report_activity(STATE_IDLE, nullptr);
        });
        set_stage(assignment, finished);
        pg::WorkerProcess::tell_starter();
        while (stage_of(assignment) != assigned) {
            if (pg::WorkerProcess::stop_requested())
                return;
            pg::WorkerProcess::wait();
        }
    }
}

} // namespace

} // namespace wc::refresh

void wc_refresh_worker(Datum argument) {
    wc::pg::entry([=] { wc::refresh::work(argument); });
}
