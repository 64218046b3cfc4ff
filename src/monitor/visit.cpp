// Visits: the monitor's side, which sends visitors and keeps their time, and the visitor's.
#include "monitor/visit.hpp"

#include "monitor/visit_board.hpp"
#include "pg/clock.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>

extern "C" {
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/backend_status.h"
WC_EXPORT void wc_visitor(Datum argument);
}

namespace wc::monitor::visit {

namespace {

struct Service {
    const char *name = nullptr;
    int at_once = 0;
    Task task = nullptr;
};
constinit std::array<Service, 2> services = {};

const Service &service(Purpose purpose) {
    return services[static_cast<size_t>(purpose)];
}

// How long the server may take to start a visitor. It starts one at once, unless it is stopping.
constexpr int64 start_us = 10'000'000;

// After its time, a visitor is cancelled; so much later it is ended; and so much later again it is told of as it is,
// though its process, which nothing gets rid of, keeps its place.
constexpr int64 grace_us = 1'000'000;

struct Asked {
    Request request;
    Told told;
};

// A visit that is under way.
struct Underway {
    Asked asked;
    int place = 0;
    pg::FreeWorker worker;
    int64 put_up_at = 0;
    int ends = 0; // how often it was asked to stop
    bool overtime = false;
};

struct Ended {
    Told told;
    Outcome outcome;
};

class Desk final : public pg::Duty {
  public:
    Desk() {
        board::be_monitor();
        desk = this;
    }
    Desk(const Desk &) = delete;
    Desk &operator=(const Desk &) = delete;
    ~Desk() override { desk = nullptr; }

    [[nodiscard]] std::chrono::milliseconds interval() const override {
        // What waits though no place is taken by what is under way waits for a process that nothing gets rid of.
        int64 due = looked_at_ + (waiting_.empty() ? 3600'000'000 : 1'000'000);
        for (const Underway &visit : underway_)
            due = std::min(due, this->due(visit));
        return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::microseconds(due - looked_at_)) +
               std::chrono::milliseconds(1);
    }

    [[nodiscard]] Failure failure() const override {
        return {"a visit to a database failed", "It is tried again when it is due."};
    }

    [[nodiscard]] bool heeds_latch() const override { return true; }

    void look() override {
        looked_at_ = pg::clock::microseconds();
        std::vector<Ended> ended;
        look_after(ended);
        start(ended);
        tell(ended);
    }

    void add(Request request, Told told) {
        waiting_.push_back({std::move(request), std::move(told)});
        pg::call([] { SetLatch(MyLatch); }); // it is started in the next look
    }

    static Desk *desk;

  private:
    // When it has to be looked at, if nothing is heard of it before.
    [[nodiscard]] static int64 due(const Underway &visit) {
        const board::Seen seen = board::look(visit.place);
        if (!seen.begun)
            return visit.put_up_at + start_us;
        return limit_of(visit, seen) + visit.ends * grace_us;
    }

    [[nodiscard]] static int64 limit_of(const Underway &visit, const board::Seen &seen) {
        return seen.begun_at + std::chrono::microseconds(visit.asked.request.limit).count();
    }

    void look_after(std::vector<Ended> &ended) {
        for (auto visit = underway_.begin(); visit != underway_.end();) {
            const board::Seen seen = board::look(visit->place);
            const bool gone = !visit->worker.running();
            if (!gone && (!seen.begun ? looked_at_ < visit->put_up_at + start_us : keep_time(*visit, seen))) {
                ++visit;
                continue;
            }
            // A process that ended between the two looks has left its last word before.
            ended.push_back({std::move(visit->asked.told), outcome(*visit, gone ? board::look(visit->place) : seen)});
            visit->worker.stop();
            visit->worker.forget();
            board::take_down(visit->place);
            visit = underway_.erase(visit);
        }
    }

    // Returns whether to go on waiting for it.
    bool keep_time(Underway &visit, const board::Seen &seen) {
        if (looked_at_ < limit_of(visit, seen) + visit.ends * grace_us)
            return true;
        visit.overtime = true;
        if (visit.ends == 2)
            return false;
        board::end(visit.place);
        visit.ends++;
        return true;
    }

    static Outcome outcome(const Underway &visit, const board::Seen &seen) {
        Outcome out;
        const int64 until = seen.ended_at != 0 ? seen.ended_at : pg::clock::microseconds();
        if (seen.begun)
            out.took = std::chrono::milliseconds((until - seen.begun_at) / 1000);
        out.sqlstate = seen.sqlstate;
        if (seen.done) {
            out.end = out.took > visit.asked.request.limit ? End::Overtime : End::Done;
            out.reply = board::reply(visit.place);
        } else if (seen.gave_way) {
            out.end = End::GaveWay;
        } else if (visit.overtime) {
            out.end = End::Overtime;
        } else if (seen.begun) {
            out.end = End::Failed;
        }
        return out;
    }

    void start(std::vector<Ended> &ended) {
        for (auto asked = waiting_.begin(); asked != waiting_.end();) {
            if (underway_of(asked->request.purpose) >= service(asked->request.purpose).at_once) {
                ++asked;
                continue;
            }
            const auto [put, place] = put_up(asked->request);
            if (!put.put && !put.claimed) // no place is free
                return;
            Outcome outcome;
            outcome.end = put.claimed ? End::GaveWay : End::NoProcess;
            if (put.put) {
                const Service &its = service(asked->request.purpose);
                const auto worker = pg::FreeWorker::start({"wc_visitor", "whitecross visitor", its.name}, put.argument,
                                                          pg::On::StandbyToo);
                if (worker) {
                    underway_.push_back({std::move(*asked), place, *worker, pg::clock::microseconds()});
                    asked = waiting_.erase(asked);
                    continue;
                }
                board::take_down(place);
            }
            ended.push_back({std::move(asked->told), std::move(outcome)});
            asked = waiting_.erase(asked);
        }
    }

    std::pair<board::Put, int> put_up(const Request &request) {
        board::Put put;
        for (int place = 0; place < board::places && !put.put && !put.claimed; ++place) {
            const auto its = [=](const Underway &visit) { return visit.place == place; };
            if (std::any_of(underway_.begin(), underway_.end(), its))
                continue;
            put = board::put_up(place, request);
            if (put.put)
                return {put, place};
        }
        return {put, 0};
    }

    [[nodiscard]] int underway_of(Purpose purpose) const {
        return static_cast<int>(std::count_if(underway_.begin(), underway_.end(), [=](const Underway &visit) {
            return visit.asked.request.purpose == purpose;
        }));
    }

    // Each is told, whatever becomes of another.
    static void tell(const std::vector<Ended> &ended) {
        std::exception_ptr failure;
        for (const Ended &each : ended) {
            try {
                each.told(each.outcome);
            } catch (...) {
                failure = std::current_exception();
            }
        }
        if (failure)
            std::rethrow_exception(failure);
    }

    std::deque<Asked> waiting_;
    std::deque<Underway> underway_;
    int64 looked_at_ = 0;
};

constinit Desk *Desk::desk = nullptr;

// What a database, or its role, may have set otherwise.
void use_own_settings() {
    pg::call([] {
        const auto set = [](const char *name, const char *value) {
            SetConfigOption(name, value, PGC_SUSET, PGC_S_SESSION);
        };
        set("search_path", "pg_catalog, pg_temp");
        set("default_transaction_isolation", "read committed");
        set("default_transaction_deferrable", "off");
        set("row_security", "on");
        set("jit", "off");
        set("whitecross.track_queries", "off");
    });
}

constinit int my_place = 0; // the visitor's

void work(Datum argument) {
    pg::WorkerProcess process;
    const board::Begun visit = board::begin(argument);
    if (!visit.begun)
        return;
    my_place = visit.place;
    pg::call([] { pg::WorkerProcess::tell_starter(); }); // who keeps its time from now on
    try {
        process.connect(visit.database);
        use_own_settings();
        const std::string name = service(visit.purpose).name;
        const char *const text = name.c_str();
        pg::call([=] { pgstat_report_activity(STATE_RUNNING, text); });
        board::done(visit.place, service(visit.purpose).task(board::request(visit.place)));
    } catch (const pg::Error &error) {
        // For the monitor to tell: the server's own text may carry values of rows.
        board::failed(visit.place, error.sqlstate());
    } catch (const std::bad_alloc &) {
        board::failed(visit.place, ERRCODE_OUT_OF_MEMORY);
    }
}

} // namespace

void serve(Purpose purpose, const char *name, int at_once, Task task) {
    services[static_cast<size_t>(purpose)] = {name, at_once, task};
}

void init() {
    board::init();
}

void reply_so_far(const std::string &reply) {
    board::done(my_place, reply);
}

void ask(Request request, Told told) {
    if (request.bytes.size() > most_bytes)
        throw pg::Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "the request of a visit is too long");
    if (Desk::desk == nullptr)
        throw pg::Error(ERRCODE_INTERNAL_ERROR, "visits are asked for outside the monitor");
    Desk::desk->add(std::move(request), std::move(told));
}

std::unique_ptr<pg::Duty> duty() {
    return std::make_unique<Desk>();
}

} // namespace wc::monitor::visit

void wc_visitor(Datum argument) {
    wc::pg::entry([=] { wc::monitor::visit::work(argument); });
}
