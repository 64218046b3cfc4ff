// The monitor's duty to the databases: it knows which there are, has those looked into of which it does not know
// whether they have the extension, and those that have it checked; and it gives the verdict.
#include "monitor/health.hpp"

#include "monitor/health_look.hpp"
#include "monitor/visit.hpp"
#include "pg/databases.hpp"
#include "pg/guc.hpp"

#include <algorithm>

namespace wc::monitor::health {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A database without the extension is looked into again after so long, for nobody says on a standby that it has got it.
// There a new one is soon looked into again, and later and later.
constexpr milliseconds relook = std::chrono::minutes(10);
constexpr milliseconds relook_of_new = std::chrono::seconds(1);
constexpr int most_doublings = 9;

// Checks of one database are never closer to each other.
constexpr milliseconds shortest(100);

// So soon again where there was no process for it, or it could not be looked into; later and later if that goes on.
constexpr milliseconds retry = std::chrono::seconds(5);

// How many are looked at or checked at once.
constexpr int at_once = 2;

struct Known {
    std::string name;
    bool present = false; // the extension was there when it was looked into last
    bool away = false;    // a visitor is under way
    bool asked = false;   // while it was: so it is to go again
    int troubles = 0;     // how often in a row it could not be looked into
    int in_vain = 0;      // or was, and the extension wasn't there
    Clock::time_point due;
    registry::Database state = {}; // of one that has it
};

class Watch final : public pg::Duty {
  public:
    Watch() { registry::be_monitor(); }

    [[nodiscard]] milliseconds interval() const override {
        Clock::time_point due = scan_at_;
        for (const auto &[oid, known] : known_)
            if (!known.away)
                due = std::min(due, known.due);
        return std::chrono::ceil<milliseconds>(due - looked_at_);
    }

    [[nodiscard]] Failure failure() const override {
        return {"the databases are not looked through", "Those that are known go on being checked."};
    }

    [[nodiscard]] bool heeds_latch() const override { return true; }

    void look() override {
        looked_at_ = Clock::now();
        if (std::exchange(paced_, settings_pace()) != settings_pace())
            hurry();
        const registry::Asked asked = registry::take_asked();
        std::exception_ptr failure;
        if (asked.survey || looked_at_ >= scan_at_) {
            scan_at_ = looked_at_ + pace();
            try {
                scan();
            } catch (const pg::Error &error) {
                if (error.ends_statement())
                    throw;
                failure = std::current_exception();
            }
        }
        for (auto &[oid, known] : known_) {
            if (asked.all || std::binary_search(asked.databases.begin(), asked.databases.end(), oid)) {
                known.due = looked_at_;
                known.asked = known.away; // what is under way may not have seen it
            }
            if (!known.away && known.due <= looked_at_)
                send(oid, known);
        }
        if (failure)
            std::rethrow_exception(failure);
    }

  private:
    static int settings_pace() { return pg::settings::health_interval; }
    static bool checks() { return pg::settings::health_interval > 0; }
    static milliseconds pace() {
        return checks() ? std::max(shortest, milliseconds(pg::settings::health_interval)) : relook;
    }

    static milliseconds doubled(milliseconds time, int times) {
        return std::min(relook, time * (1 << std::min(times, most_doublings)));
    }

    // The interval was set anew: what would be due later than it says is due then.
    void hurry() {
        scan_at_ = std::min(scan_at_, looked_at_ + pace());
        for (auto &[oid, known] : known_)
            if (known.present)
                known.due = std::min(known.due, looked_at_ + pace());
    }

    // Templates are left alone: who copies one wants it to himself.
    void scan() {
        std::map<Oid, std::string> there;
        for (const pg::Database &database : pg::databases())
            if (database.connectable && !database.is_template)
                there.emplace(database.oid, database.name);
        for (const Oid oid : registry::with_extension()) // also what a monitor before this one knew
            if (!there.contains(oid))
                forget(oid);
        std::erase_if(known_, [&](const auto &known) { return !there.contains(known.first); });
        std::erase_if(left_out_, [&](Oid oid) { return !there.contains(oid); });
        tell_left_out();
        for (const auto &[oid, name] : there) {
            const auto [known, added] = known_.try_emplace(oid);
            known->second.name = name;
            if (added)
                known->second.due = looked_at_;
        }
    }

    void send(Oid oid, Known &known) {
        const auto timeout = milliseconds(pg::settings::health_timeout);
        const Question question = {known.present && checks(), static_cast<int32>(timeout.count())};
        visit::Request request;
        request.database = oid;
        request.bytes = {reinterpret_cast<const char *>(&question), sizeof(question)};
        request.limit = timeout;
        visit::ask(std::move(request), [this, oid, question](const visit::Outcome &outcome) {
            const auto known = known_.find(oid);
            if (known != known_.end()) // else it was dropped meanwhile
                take_in(oid, known->second, question, outcome);
        });
        known.away = true;
    }

    void take_in(Oid oid, Known &known, const Question &question, const visit::Outcome &outcome) {
        const Clock::time_point now = Clock::now();
        const milliseconds next = known.present ? pace() : relook;
        known.away = false;
        known.due += next;
        if (known.due <= now) // it took longer than from one check to the next
            known.due = now + next;
        note_process(outcome.end != visit::End::NoProcess);
        switch (outcome.end) {
        case visit::End::Done:
            known.troubles = 0;
            take_in(oid, known, question, findings(outcome.reply));
            break;
        case visit::End::Failed:
        case visit::End::Overtime:
            if (outcome.end == visit::End::Failed && outcome.sqlstate == ERRCODE_QUERY_CANCELED)
                unchecked(known, "somebody has cancelled it");
            else if (question.check)
                judge(oid, known, failed(outcome));
            else
                known.due = now + doubled(retry, known.troubles++);
            break;
        case visit::End::GaveWay: // it is asked for when the claim is over
            unchecked(known, "the database, or the extension in it, was claimed by another command");
            break;
        case visit::End::NoProcess:
            unchecked(known, registry::no_process);
            known.due = std::min(known.due, now + retry);
            break;
        }
        if (std::exchange(known.asked, false))
            known.due = now;
    }

    void take_in(Oid oid, Known &known, const Question &question, const Findings &findings) {
        if (!findings.present) {
            if (std::exchange(known.present, false))
                forget(oid);
            if (RecoveryInProgress())
                known.due = Clock::now() + doubled(relook_of_new, known.in_vain++);
            return;
        }
        known.in_vain = 0;
        if (!std::exchange(known.present, true)) {
            // A monitor before this one may have left what it knew.
            known.state = registry::find(oid).value_or(registry::Database());
            known.state.oid = oid;
            known.due = Clock::now(); // to be checked
        }
        strlcpy(known.state.version, findings.version, sizeof(known.state.version));
        if (findings.checked)
            judge(oid, known, findings);
        else
            keep(known);
        if (question.check && findings.read)
            alerts::report(Source::Database, oid, {findings.reading, findings.reading + findings.readings});
    }

    static Findings findings(const std::string &reply) {
        Findings out = {};
        memcpy(&out, reply.data(), std::min(reply.size(), sizeof(out)));
        return out;
    }

    // What a visit that came to no end says.
    static Findings failed(const visit::Outcome &outcome) {
        Findings out = {};
        out.checked = true;
        out.sqlstate = outcome.sqlstate != 0 ? outcome.sqlstate : ERRCODE_CONNECTION_FAILURE;
        out.duration_ms = static_cast<int32>(outcome.took.count());
        std::string reason = "the check took longer than " + std::to_string(pg::settings::health_timeout) + " ms";
        if (outcome.end == visit::End::Failed && outcome.sqlstate == 0)
            reason = "the database could not be entered: see the server's log";
        else if (outcome.end == visit::End::Failed)
            reason = "the check came to no end: " + pg::condition_name(out.sqlstate);
        strlcpy(out.reason, reason.c_str(), sizeof(out.reason));
        return out;
    }

    void judge(Oid oid, Known &known, const Findings &findings) {
        const bool passed = findings.reason[0] == '\0';
        registry::Database &state = known.state;
        const bool turned = core::take_in(state.health, passed);
        state.last_check = GetCurrentTimestamp();
        if (!passed)
            state.last_failure = state.last_check;
        state.duration_ms = findings.duration_ms;
        memcpy(state.failing, findings.failing, sizeof(state.failing));
        memcpy(state.reason, findings.reason, sizeof(state.reason));
        state.unchecked = 0;
        state.why_unchecked[0] = '\0';
        keep(known);
        if (turned)
            say(known);
        alerts::report(Source::Health, oid,
                       {alerts::reading(Watched::Unhealthy, oid, known.name, state.health.unhealthy ? 1 : 0)});
    }

    // No check, which is no failure either.
    static void unchecked(Known &known, const char *why) {
        if (!known.present)
            return;
        if (known.state.unchecked == 0)
            known.state.unchecked = GetCurrentTimestamp();
        strlcpy(known.state.why_unchecked, why, sizeof(known.state.why_unchecked));
        (void)registry::put(known.state);
    }

    void keep(const Known &known) {
        if (registry::put(known.state))
            left_out_.erase(known.state.oid);
        else
            left_out_.insert(known.state.oid);
        tell_left_out();
    }

    void forget(Oid oid) {
        registry::forget(oid);
        left_out_.erase(oid);
        tell_left_out();
        alerts::report(Source::Health, oid, {});
        alerts::report(Source::Database, oid, {});
    }

    // In the log once, when there are some for the first time.
    void tell_left_out() {
        const int count = static_cast<int>(left_out_.size());
        const int told = std::exchange(told_left_out_, count);
        if (told == count)
            return;
        registry::note_left_out(count);
        if (told == 0)
            pg::call([] {
                ereport(WARNING, (errmsg("there is no room for the health of more databases"),
                                  errdetail("The health of %zu databases is kept.", registry::most)));
            });
    }

    void note_process(bool there) {
        registry::note_process(there);
        if (std::exchange(process_, there) == there || there)
            return;
        pg::call([] {
            ereport(WARNING, (errmsg("no background worker is free to look into databases"),
                              errdetail("Their health is not checked, and their listeners are not notified."),
                              errhint("Raise max_worker_processes.")));
        });
    }

    static void say(const Known &known) {
        const char *const name = known.name.c_str();
        const registry::Database *const state = &known.state;
        const uint32 failures = core::failures_to_unhealthy;
        pg::call([=] {
            if (state->health.unhealthy)
                ereport(LOG,
                        (errmsg("whitecross: database \"%s\" is unhealthy: %u checks in a row failed", name, failures),
                         errdetail_log("%s", state->reason)));
            else
                ereport(LOG, (errmsg("whitecross: database \"%s\" is healthy again", name)));
        });
    }

    std::map<Oid, Known> known_;
    std::set<Oid> left_out_;
    int told_left_out_ = 0;
    bool process_ = true; // there was one the last time
    int paced_ = settings_pace();
    Clock::time_point looked_at_;
    Clock::time_point scan_at_;
};

} // namespace

void init() {
    registry::init();
    visit::serve(visit::Purpose::Look, "whitecross health", at_once, look);
}

std::unique_ptr<pg::Duty> duty() {
    return std::make_unique<Watch>();
}

} // namespace wc::monitor::health
