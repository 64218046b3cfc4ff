// The monitor's duty to alerts: reads what can be read without a connection to a database, writes what is new of all
// alerts to the log, and sends visitors to the databases whose listeners are to be notified.
#include "core/backoff.hpp"
#include "monitor/alerts.hpp"
#include "monitor/registry.hpp"
#include "monitor/server_readings.hpp"
#include "monitor/visit.hpp"
#include "pg/duty.hpp"
#include "pg/guc.hpp"
#include "pg/guc_alerts.hpp"

#include <algorithm>

namespace wc::monitor::alerts {

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds notify_limit{10000};
constexpr Milliseconds longest_wait{60000};

class Alerting final : public pg::Duty {
  public:
    [[nodiscard]] Milliseconds interval() const override {
        Clock::time_point next = due_;
        for (const auto &[database, listener] : listeners_)
            if (!listener.visited && listener.failed)
                next = std::min(next, listener.retry_at);
        return std::max(std::chrono::ceil<Milliseconds>(next - Clock::now()), Milliseconds(0));
    }

    [[nodiscard]] Failure failure() const override {
        return {"what alerts are made of can't be read", "Alerts stay as they were. It is tried again and again."};
    }

    [[nodiscard]] bool heeds_latch() const override { return true; } // a visitor has read something, or has notified

    void look() override {
        std::exception_ptr failed;
        if (const Clock::time_point now = Clock::now(); now >= due_ || readings_.is_old()) {
            due_ = now + std::chrono::seconds(pg::settings::monitor_interval);
            try {
                read(now);
            } catch (const pg::Error &error) {
                if (error.ends_statement())
                    throw;
                failed = std::current_exception();
            }
        }
        write_log();
        notify();
        if (failed)
            std::rethrow_exception(failed);
    }

  private:
    struct Listener {
        bool visited = false; // a visitor is on its way
        bool failed = false;  // the last one failed, and the next goes at retry_at
        Clock::time_point retry_at;
        core::Backoff backoff{Milliseconds(1000)};
    };

    void read(Clock::time_point now) {
        readings_.read(std::chrono::duration_cast<Milliseconds>(now.time_since_epoch()).count());
        report(Source::Monitor, InvalidOid, readings_.of_server());
        const std::vector<Oid> databases = readings_.databases();
        for (const Oid database : databases)
            report(Source::Monitor, database, readings_.of_database(database));
        keep_only(databases);
        tell_losses(now);
    }

    // The name of an alert's database. One that was made a moment ago is found at the next look.
    [[nodiscard]] std::string name(Oid database) const {
        if (!OidIsValid(database))
            return "";
        const std::string found = readings_.name(database);
        return !found.empty() ? found : "oid " + std::to_string(database);
    }

    void write_log() {
        for (const Told &told : take_for_log()) {
            using core::alert::Event;
            const bool worse = told.event == Event::Raised || told.event == Event::Repeated;
            const std::string text = line(told, name(told.reading.database));
            const char *const message = text.c_str();
            pg::call([=] { ereport(worse ? WARNING : LOG, (errmsg_internal("%s", message))); });
        }
    }

    // What had no room, at most once an hour.
    void tell_losses(Clock::time_point now) {
        const Losses lost = losses();
        const bool more = lost.refused > told_losses_.refused || lost.unlogged > told_losses_.unlogged;
        if (!more || (losses_told_at_ && now - *losses_told_at_ < std::chrono::hours(1)))
            return;
        losses_told_at_ = now;
        told_losses_ = lost;
        const int most = pg::settings::alert::most;
        pg::call([=] {
            ereport(WARNING,
                    (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("not all alerts can be raised or told"),
                     errdetail("There is room for %d at once. Found no room: " UINT64_FORMAT
                               " readings; not told: " UINT64_FORMAT " changes.",
                               most, lost.refused, lost.unlogged),
                     errhint("Raise whitecross.alerts_max, and restart the server.")));
        });
    }

    void notify() {
        if (RecoveryInProgress()) {
            skip_notifications();
            listeners_.clear();
            return;
        }
        const std::vector<Oid> databases = registry::with_extension();
        std::erase_if(listeners_, [&](const auto &each) {
            return !each.second.visited && !std::binary_search(databases.begin(), databases.end(), each.first);
        });
        const Clock::time_point now = Clock::now();
        for (const Oid database : to_notify(databases)) {
            Listener &listener = listeners_[database];
            if (listener.visited || (listener.failed && now < listener.retry_at))
                continue;
            listener.visited = true;
            visit::ask({visit::Purpose::Notify, database, {}, notify_limit},
                       [this, database](const visit::Outcome &outcome) { ended(database, outcome); });
        }
    }

    void ended(Oid database, const visit::Outcome &outcome) {
        Listener &listener = listeners_[database];
        listener.visited = false;
        const bool failed = outcome.end != visit::End::Done;
        if (!failed) {
            listener.backoff.succeeded();
        } else {
            listener.retry_at = Clock::now() + listener.backoff.failed(longest_wait);
            if (!listener.failed && outcome.end != visit::End::GaveWay)
                say(database, outcome);
        }
        listener.failed = failed;
    }

    // Once for each row of failures.
    void say(Oid database, const visit::Outcome &outcome) const {
        const std::string name = this->name(database);
        const char *const of = name.c_str();
        const int sqlstate = outcome.sqlstate != 0 ? outcome.sqlstate : ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
        const bool no_process = outcome.end == visit::End::NoProcess;
        pg::call([=] {
            ereport(WARNING, (errcode(sqlstate), errmsg("listeners in database \"%s\" are not notified of alerts", of),
                              errdetail("It is tried again until it succeeds."),
                              no_process ? errhint("Raise max_worker_processes: no process was free for it.") : 0));
        });
    }

    ServerReadings readings_;
    Clock::time_point due_;
    std::map<Oid, Listener> listeners_;
    Losses told_losses_;
    std::optional<Clock::time_point> losses_told_at_;
};

} // namespace

std::unique_ptr<pg::Duty> duty() {
    return std::make_unique<Alerting>();
}

} // namespace wc::monitor::alerts
