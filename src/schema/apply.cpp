// wc_install(): making what is missing.
#include "schema/locks.hpp"
#include "schema/operations.hpp"
#include "schema/triggers.hpp"
#include "schema/views.hpp"

#include "pg/expression.hpp"
#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "pg/transaction.hpp"

#include <algorithm>

namespace wc::schema {

namespace {

// Triggers that no view needs any more, or whose table has gone by another name.
bool to_drop(const State &state) {
    return state.wanted.is_trigger() && state.ours() && !state.wanted.applicable();
}

// Whether an object is to be made, or made anew.
bool to_make(const State &state) {
    if (state.wanted.is_trigger() && state.status == Status::installed && !state.validated)
        return true;
    return state.wanted.applicable() && (state.status == Status::pending || state.status == Status::outdated);
}

// The lock that a step needs on its table or view: ADD CONSTRAINT and what drops the strongest, CREATE INDEX and CREATE
// TRIGGER ones that let readers in.
LOCKMODE needed_lock(const State &state) {
    if (to_drop(state))
        return AccessExclusiveLock;
    if (state.wanted.is_trigger())
        return to_make(state) ? trigger_lock(state) : NoLock;
    if (!to_make(state))
        return state.wanted.is_constraint() && state.ours() && !state.validated ? ShareUpdateExclusiveLock : NoLock;
    if (state.exists() || state.wanted.is_constraint())
        return AccessExclusiveLock;
    return state.wanted.is_view() ? NoLock : ShareLock;
}

class Installer {
  public:
    Installer(pg::Spi &spi, const char *function, const Choice &chosen)
        : spi_(spi), function_(function), chosen_(chosen) {
        settings_.set("lock_timeout", std::to_string(pg::settings::lock_timeout).c_str());
    }

    std::vector<Action> run() {
        one_at_a_time(spi_, function_);
        restore_guards(spi_);
        take_locks();
        site_.emplace(spi_); // again, now that nothing can change any more
        states_ = inspect(spi_, *site_);
        if (!any_table()) {
            call_notice();
            return {};
        }
        keep_timezone();
        relink();
        constraints();
        for (auto &state : states_)
            if (state.wanted.is_index() && !state.wanted.of_view)
                index(state);
        for (auto &state : states_) // before a view is filled: what is written from then on is noted
            if (state.wanted.is_trigger())
                triggers(state);
        for (auto &state : states_)
            if (state.wanted.is_view())
                view(state);
        for (auto &state : states_)
            if (state.wanted.of_view && !handled_.count(state.wanted.name))
                view_index(state);
        return std::move(actions_);
    }

  private:
    void act(const State &state, const std::string &action, const std::string &reason = {}) {
        handled_.insert(state.wanted.name);
        actions_.push_back(action_of(state, action, reason));
    }

    // What could not be made: said, and remembered for wc_objects(). An object of ours stays ours.
    void refuse(const State &state, const std::string &reason) {
        act(state, state.exists() ? "outdated" : "pending", reason);
        remember(spi_, *site_, state, state.ours(), state.ours() ? state.remembered.definition : pg::Text{}, reason);
    }

    void made(const State &state, const std::string &action) {
        act(state, action, state.wanted.note);
        remember(spi_, *site_, state, true, state.wanted.sql, {});
    }

    // Everything before the first change: a lock made stronger later ends in deadlocks with a running application.
    // What can't be had makes the objects that need it pending.
    void take_locks() {
        lock_site_.emplace(spi_);
        locks_.emplace(spi_, *lock_site_);
        for (const State &state : inspect(spi_, *lock_site_)) {
            if (!chosen_(state.wanted))
                continue;
            locks_->want(state.wanted.table, needed_lock(state));
            // One that isn't ours is compared with ours, which is made for that.
            if (state.wanted.is_view() && (to_make(state) || state.status == Status::conflict))
                for (const auto &table : state.wanted.base_tables)
                    locks_->want(table, AccessShareLock);
        }
        locks_->take();
    }

    [[nodiscard]] bool any_table() const {
        for (const auto &name : site_->canonical_tables())
            if (site_->table(name) != nullptr)
                return true;
        return false;
    }

    void call_notice() const {
        const char *schema = site_->setting("base_schema").c_str();
        pg::call([=] {
            ereport(NOTICE, (errmsg("schema \"%s\" has no base tables: no managed object is installed", schema),
                             errhint("Create the tables, or run wc_create_base_tables(), and then run wc_install().")));
        });
    }

    // The zone is a literal in the definitions: it must not change with the session that restores a dump.
    void keep_timezone() {
        spi_.query("INSERT INTO " + site_->extension_schema() +
                       ".wc_site_setting (name, value) VALUES ('timezone', $1) ON CONFLICT (name) DO NOTHING",
                   {site_->setting("timezone")});
    }

    // A step that can fail by itself: what it reported is taken back with what it did.
    template <typename F> std::optional<pg::Error> step(F &&work) {
        const size_t reported = actions_.size();
        auto failure = pg::attempt(work);
        if (failure)
            actions_.resize(reported);
        return failure;
    }

    void relink() {
        for (const auto &state : states_) {
            if (!state.ours() || state.linked || !chosen_(state.wanted))
                continue;
            link(state);
            actions_.push_back(action_of(state, "linked"));
        }
    }

    // True where nothing is to be done about an object; says what must be said of it.
    bool settled(const State &state) {
        if (!chosen_(state.wanted))
            return true;
        if (state.status == Status::conflict) {
            act(state, "conflict", state.reason);
            remember(spi_, *site_, state, false, {}, {}); // it may have taken the place of one of ours
            return true;
        }
        if (state.status == Status::pending && !state.wanted.missing.empty()) {
            refuse(state, state.wanted.missing);
            return true;
        }
        if (state.status == Status::outdated && !state.wanted.applicable()) {
            refuse(state, state.wanted.missing + state.wanted.not_applicable);
            return true;
        }
        return !to_make(state);
    }

    // All constraints of a table at once: one scan counts, one scan checks.
    void constraints() {
        std::map<std::string, std::vector<State *>> by_table;
        for (auto &state : states_) {
            if (!state.wanted.is_constraint())
                continue;
            const bool unvalidated = state.status == Status::installed && !state.validated;
            if (unvalidated ? chosen_(state.wanted) : !settled(state))
                by_table[state.wanted.table].push_back(&state);
        }
        for (auto &[table, states] : by_table) {
            std::vector<State *> locked;
            for (State *state : states)
                if (const auto reason = locks_->missing(table, needed_lock(*state)))
                    refuse(*state, *reason);
                else
                    locked.push_back(state);
            if (!locked.empty())
                constraints_of(table, locked);
        }
    }

    void constraints_of(const std::string &table, const std::vector<State *> &states) {
        std::vector<std::string> counts;
        if (auto failure = pg::attempt([&] {
                counts = count_violations(spi_, *site_, table, {states.begin(), states.end()});
            })) {
            for (State *state : states)
                refuse(*state, failure_reason(*failure));
            return;
        }
        for (size_t i = 0; i < states.size(); ++i) {
            State &state = *states[i];
            const std::string violated = counts[i] == "0" ? "" : violation_reason(state, counts[i]);
            const bool unvalidated = state.status == Status::installed && !state.validated;
            if (!violated.empty()) {
                if (!unvalidated) // one that is enforced already: nothing to do until the rows are mended
                    refuse(state, violated);
                continue;
            }
            const std::string alter = "ALTER TABLE " + site_->qualified(table) + " ";
            const std::string name = pg::quote_name(state.wanted.name);
            auto failure = step([&] {
                if (unvalidated) {
                    spi_.query(alter + "VALIDATE CONSTRAINT " + name);
                    made(state, "validated");
                    return;
                }
                const bool rebuild = state.exists();
                if (rebuild)
                    spi_.query(alter + "DROP CONSTRAINT " + name);
                spi_.query(state.wanted.sql);
                finish_constraint(spi_, *site_, state);
                made(state, rebuild ? "rebuilt" : "created");
            });
            if (failure)
                refuse(state, failure_reason(*failure));
        }
    }

    static std::string violation_reason(const State &state, const std::string &count) {
        return count + (count == "1" ? " row violates" : " rows violate") +
               (state.exists() ? " the new definition" : " it") + ": wc_breaches('" + state.wanted.name +
               "') lists the keys";
    }

    void index(State &state) {
        if (settled(state))
            return;
        if (const auto reason = locks_->missing(state.wanted.table, needed_lock(state))) {
            refuse(state, *reason);
            return;
        }
        const bool rebuild = state.exists();
        auto failure = step([&] {
            if (!state.wanted.predicate.empty())
                require_built_in(*site_, state.wanted.table, state.wanted.predicate);
            if (rebuild)
                spi_.query("DROP INDEX " + site_->qualified(state.wanted.name));
            make_index(spi_, *site_, state);
            made(state, rebuild ? "rebuilt" : "created");
        });
        if (failure)
            refuse(state, failure_reason(*failure));
    }

    void triggers(State &state) {
        if (!chosen_(state.wanted))
            return;
        if (to_drop(state)) {
            unneeded_triggers(state);
            return;
        }
        if (!to_make(state) && settled(state))
            return;
        if (const auto reason = locks_->missing(state.wanted.table, trigger_lock(state))) {
            refuse(state, *reason);
            return;
        }
        const bool rebuild = state.exists();
        auto failure = step([&] {
            make_triggers(spi_, *site_, state, true);
            made(state, rebuild ? "rebuilt" : "created");
        });
        if (failure)
            refuse(state, failure_reason(*failure));
    }

    void unneeded_triggers(State &state) {
        const std::string reason = state.wanted.not_applicable + state.wanted.missing;
        if (site_->table(state.wanted.table) != nullptr)
            if (const auto unlocked = locks_->missing(state.wanted.table, AccessExclusiveLock)) {
                refuse(state, *unlocked);
                return;
            }
        auto failure = step([&] {
            drop_triggers(spi_, state);
            act(state, "dropped", reason);
            remember(spi_, *site_, state, false, {}, {});
        });
        if (failure)
            refuse(state, failure_reason(*failure));
    }

    void view_index(State &state) {
        if (settled(state))
            return;
        if (!OidIsValid(pg::find_relation(site_->setting("base_schema"), state.wanted.table))) {
            refuse(state, "view " + state.wanted.table + " is not installed");
            return;
        }
        index(state);
    }

    void view(State &state) {
        if (!chosen_(state.wanted))
            return;
        if (state.status == Status::conflict && adopt_view(spi_, *site_, state)) {
            act(state, "adopted");
            return;
        }
        if (settled(state)) {
            if (state.status == Status::installed && !state.populated)
                filled(state);
            return;
        }
        std::string reason = view_owner_problem(spi_, *site_, state);
        for (const auto &table : state.wanted.base_tables)
            if (const auto unlocked = locks_->missing(table, AccessShareLock); unlocked && reason.empty())
                reason = *unlocked;
        if (const auto unlocked = locks_->missing(state.wanted.name, needed_lock(state)); unlocked && reason.empty())
            reason = *unlocked;
        if (reason.empty() && state.exists())
            if (const std::string names = dependents(spi_, state.oid); !names.empty())
                reason = "others depend on it: " + names;
        if (!reason.empty()) {
            refuse(state, reason);
            return;
        }
        const bool rebuild = state.exists();
        auto failure = step([&] {
            if (rebuild) {
                remember_additions(spi_, *site_, state);
                spi_.query("DROP MATERIALIZED VIEW " + site_->qualified(state.wanted.name));
            }
            make_view(spi_, *site_, state);
            made(state, rebuild ? "rebuilt" : "created");
            for (auto &index : states_)
                if (index.wanted.of_view && index.wanted.table == state.wanted.name && !index.remembered.disabled) {
                    make_index(spi_, *site_, index);
                    made(index, rebuild ? "rebuilt" : "created");
                }
            restore_additions(spi_, *site_, state);
        });
        if (failure) {
            refuse(state, failure_reason(*failure));
            return;
        }
        filled(state);
    }

    void filled(State &state) {
        if (auto failure = fill_view(spi_, *site_, state)) {
            act(state, "pending", "not filled: " + *failure);
            remember(spi_, *site_, state, true, state.wanted.sql, "not filled: " + *failure);
        }
    }

    pg::Spi &spi_;
    const char *function_;
    const Choice &chosen_;
    pg::SettingScope settings_;
    pg::NotMembers not_members_;
    std::optional<Site> site_;
    std::vector<State> states_;
    std::optional<Site> lock_site_; // as it was before the locks
    std::optional<Locks> locks_;
    std::set<std::string> handled_;
    std::vector<Action> actions_;
};

} // namespace

void require_built_in(const Site &site, const std::string &table, const std::string &expression) {
    const auto function = pg::foreign_function("SELECT (" + expression + ") FROM " + site.qualified(table));
    if (function)
        throw pg::Error(ERRCODE_INSUFFICIENT_PRIVILEGE, "a definition may use built-in functions only",
                        "It would call " + *function + ".");
}

std::vector<Action> install_chosen(pg::Spi &spi, const char *function, const Choice &chosen) {
    return Installer(spi, function, chosen).run();
}

std::vector<Action> install(pg::Spi &spi, const std::optional<std::string> &kind) {
    if (kind)
        require_kind(*kind);
    std::vector<Action> actions = install_chosen(
        spi, "wc_install()", [&](const Definition &definition) { return !kind || *kind == definition.kind; });
    if (std::any_of(actions.begin(), actions.end(), [](const Action &action) {
            return action.kind == "materialized view" && action.action == "created";
        }))
        views_installed(spi);
    return actions;
}

} // namespace wc::schema
