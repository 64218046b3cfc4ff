// The monitor's duty to the connections: a sample each whitecross.monitor_interval, which is the latest until the next
// one, and goes into the history.
#include "monitor/connections_board.hpp"
#include "monitor/connections_history.hpp"
#include "monitor/connections_sample.hpp"
#include "pg/duty.hpp"
#include "pg/guc.hpp"

namespace wc::monitor::connections {

namespace {

class Sampling final : public pg::Duty {
  public:
    [[nodiscard]] std::chrono::milliseconds interval() const override {
        return std::chrono::seconds(pg::settings::monitor_interval);
    }

    [[nodiscard]] Failure failure() const override {
        if (!named_)
            return {"names and limits of databases and roles can't be looked up",
                    "Connections are counted all the same, with the names and limits that were known before."};
        return {"the connection history is not written",
                "It is tried again each minute. Samples for which shared memory has no room are lost."};
    }

    void look() override {
        // Before its time it is asked: the configuration was read again.
        const auto now = std::chrono::steady_clock::now();
        const bool asked = looked_ && now < *looked_ + interval();
        looked_ = now;
        Sample sample = count();
        const auto failure = pg::transaction([&] { name_groups(sample); });
        named_ = !failure;
        if (failure)
            complete(sample);
        known_.databases = sample.databases;
        known_.roles = sample.roles;
        board::put(sample);
        keeper_.add(sample, interval(), asked);
        if (failure)
            throw *failure;
    }

  private:
    // What the catalogues could not tell, from the sample before.
    void complete(Sample &sample) const {
        for (const auto &each : sample.groups) {
            if (const auto found = known_.databases.find(each.first.first); found != known_.databases.end())
                sample.databases.insert(*found);
            if (const auto found = known_.roles.find(each.first.second); found != known_.roles.end())
                sample.roles.insert(*found);
        }
    }

    Sample known_; // names and limits, as they were looked up last
    bool named_ = true;
    std::optional<std::chrono::steady_clock::time_point> looked_;
    Keeper keeper_;
};

} // namespace

std::unique_ptr<pg::Duty> duty() {
    return std::make_unique<Sampling>();
}

} // namespace wc::monitor::connections
