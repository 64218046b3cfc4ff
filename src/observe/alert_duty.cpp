// The monitor's duty to alerts: reads what can be read without a connection to a database, writes what is new of all
// alerts to the log.
#include "observe/alerts.hpp"
#include "observe/duty.hpp"
#include "observe/server_readings.hpp"
#include "pg/guc.hpp"
#include "pg/guc_alerts.hpp"

#include <algorithm>

namespace wc::observe::alerts {

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

class Alerting final : public monitor::Duty {
  public:
    [[nodiscard]] Milliseconds interval() const override {
        const Clock::time_point next = due_;
        return std::max(std::chrono::ceil<Milliseconds>(next - Clock::now()), Milliseconds(0));
    }

    [[nodiscard]] Failure failure() const override {
        return {"what alerts are made of can't be read", "Alerts stay as they were. It is tried again and again."};
    }

    [[nodiscard]] bool heeds_latch() const override { return true; } // a visitor has read something, or has notified

    void look() override {
        std::exception_ptr failed;
        if (const Clock::time_point now = Clock::now(); now >= due_) {
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
        if (failed)
            std::rethrow_exception(failed);
    }

  private:
    void read(Clock::time_point now) {
        readings_.read(std::chrono::duration_cast<Milliseconds>(now.time_since_epoch()).count());
        report(Source::Monitor, InvalidOid, readings_.of_server());
        const std::vector<Oid> databases = readings_.databases();
        for (const Oid database : databases)
            report(Source::Monitor, database, readings_.of_database(database));
        keep_only(databases, databases);
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

    // What had no room, once in the time after which alerts are repeated.
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

    ServerReadings readings_;
    Clock::time_point due_;
    Losses told_losses_;
    std::optional<Clock::time_point> losses_told_at_;
};

} // namespace

std::unique_ptr<monitor::Duty> duty() {
    return std::make_unique<Alerting>();
}

} // namespace wc::observe::alerts
