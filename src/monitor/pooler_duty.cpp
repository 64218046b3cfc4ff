// The monitor's duty to PgBouncer: it is asked each whitecross.monitor_interval, over one connection, which is made
// again when it was lost. Whatever the other side does, a look takes no time: what is awaited is its socket, up to a
// limit.
#include "monitor/pooler.hpp"
#include "monitor/pooler_board.hpp"
#include "monitor/pooler_link.hpp"
#include "pg/duty.hpp"

#include "core/backoff.hpp"
#include "pg/guc.hpp"

#include <algorithm>

namespace wc::monitor::pooler {

namespace {

using Clock = std::chrono::steady_clock;
using core::pooler::Question;
using std::chrono::milliseconds;

constexpr milliseconds first_retry(1000);
constexpr int rows_a_look = 1000;
constexpr milliseconds nothing_to_do = std::chrono::hours(1);

constexpr Question questions[] = {Question::Databases, Question::Stats, Question::Pools};

milliseconds every() {
    return std::chrono::seconds(pg::settings::monitor_interval);
}

milliseconds limit() {
    return milliseconds(pg::settings::pgbouncer_timeout);
}

class Watching final : public pg::Duty {
  public:
    // The monitor that was before left no connection.
    Watching() : state_(state()) { begin_anew(); }

    [[nodiscard]] milliseconds interval() const override {
        return std::max(std::chrono::ceil<milliseconds>(next_ - looked_), milliseconds(0));
    }

    [[nodiscard]] Failure failure() const override { return {"PgBouncer is not watched", "It is tried again."}; }

    [[nodiscard]] pg::Awaited awaited() const override { return link_ ? link_->awaited() : pg::Awaited(); }

    void look() override {
        looked_ = Clock::now();
        next_ = looked_ + every(); // should it throw
        try {
            heed_setting();
            if (conninfo_.empty())
                next_ = looked_ + nothing_to_do;
            else
                go_on();
        } catch (const pg::Error &) {
            link_.reset();
            throw;
        }
    }

  private:
    // A change of the setting is a new beginning. Whoever has the configuration read again has mended something, the
    // passfile perhaps, and wants to see what comes of it.
    void heed_setting() {
        if (std::exchange(reloaded_, PgReloadTime) != PgReloadTime) {
            backoff_.succeeded();
            due_ = looked_;
        }
        const char *const now = pg::settings::pgbouncer_conninfo;
        if (conninfo_ == (now != nullptr ? now : ""))
            return;
        conninfo_ = now != nullptr ? now : "";
        link_.reset();
        backoff_.succeeded();
        due_ = looked_;
        told_.clear();
        begin_anew();
    }

    void go_on() {
        if (!link_) {
            if (looked_ < due_) {
                next_ = due_;
                return;
            }
            begin();
        }
        for (;;) {
            const Link::State now = link_->advance(rows_a_look);
            if (now == Link::State::Failed)
                return failed(link_->error());
            if (now != Link::State::Idle) {
                if (looked_ >= deadline_)
                    return failed("it did not " + std::string(now == Link::State::Asking ? "answer" : "let us in") +
                                  " within " + std::to_string(limit().count()) + " ms");
                next_ = link_->more() ? looked_ : deadline_;
                return;
            }
            if (!asking_) { // connected, or at rest since the last answer
                if (looked_ < due_) {
                    next_ = due_;
                    return;
                }
                asking_ = true;
                asked_ = 0;
                answer_ = {};
                deadline_ = looked_ + limit();
                due_ = looked_ + every();
            }
            if (asked_ == std::size(questions))
                answered();
            else
                link_->ask(questions[asked_++], answer_);
        }
    }

    void begin() {
        asking_ = false;
        deadline_ = looked_ + limit();
        link_ = std::make_unique<Link>(conninfo_.c_str());
    }

    void answered() {
        asking_ = false;
        backoff_.succeeded();
        auto known = std::make_unique<core::pooler::Ledger>(ledger());
        core::pooler::take(*known, answer_);
        answer_ = {};
        const TimestampTz now = GetCurrentTimestamp();
        if (!state_.connected) {
            state_.since = now;
            if (!told_.empty())
                pg::call([] { ereport(LOG, (errmsg("PgBouncer answers again"))); });
        }
        told_.clear();
        state_.connected = true;
        state_.answered_at = now;
        state_.answered = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
        put(state_, *known);
    }

    void failed(const std::string &why) {
        strlcpy(state_.error, why.c_str(), sizeof(state_.error));
        link_.reset(); // why may go with it
        due_ = looked_ + backoff_.failed(every());
        next_ = due_;
        state_.failures++;
        state_.failed_at = GetCurrentTimestamp();
        if (std::exchange(state_.connected, false) || state_.since == 0)
            state_.since = state_.failed_at;
        put(state_);
        const char *const message = state_.error;
        if (std::exchange(told_, message) == message)
            return;
        pg::call([=] {
            ereport(WARNING, (errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
                              errmsg("PgBouncer does not answer: %s", message),
                              errdetail("It is tried again, at least each whitecross.monitor_interval.")));
        });
    }

    // Nobody knows yet whether it answers.
    void begin_anew() {
        state_.connected = false;
        state_.since = 0;
        put(state_);
    }

    std::string conninfo_;
    std::unique_ptr<Link> link_;
    core::Backoff backoff_{first_retry};
    core::pooler::Answer answer_;
    State state_;
    TimestampTz reloaded_ = 0;
    std::string told_; // the failure that the log has, since the last answer
    bool asking_ = false;
    size_t asked_ = 0;           // of the questions of this time
    Clock::time_point looked_;   // the last look
    Clock::time_point next_;     // when there is something to do, whatever comes
    Clock::time_point due_;      // when it is asked, or connected to, again
    Clock::time_point deadline_; // when what is under way is given up
};

} // namespace

std::unique_ptr<pg::Duty> duty() {
    return std::make_unique<Watching>();
}

} // namespace wc::monitor::pooler
