// Taking managed objects away: wc_retire(), wc_suspend_views(), wc_disable().
#include "schema/locks.hpp"
#include "schema/operations.hpp"
#include "schema/triggers.hpp"
#include "schema/views.hpp"

#include "pg/guc.hpp"
#include "pg/transaction.hpp"

#include <algorithm>

namespace wc::schema {

namespace {

// The statement that drops an object. Never CASCADE: what others built on it stays.
std::string drop_statement(const Site &site, const State &state) {
    const Definition &object = state.wanted;
    if (object.is_constraint())
        return "ALTER TABLE " + site.qualified(object.table) + " DROP CONSTRAINT " + pg::quote_name(object.name);
    return std::string("DROP ") + (object.is_view() ? "MATERIALIZED VIEW " : "INDEX ") + site.qualified(object.name);
}

// Drops an object of ours. Returns what happened: dropped, or kept with the reason.
Action drop(pg::Spi &spi, const Site &site, const Locks &locks, const State &state, const std::string &reason,
            bool keep_additions) {
    // Triggers of a table that has gone by another name since need no lock beforehand.
    const bool renamed = state.wanted.is_trigger() && site.table(state.wanted.table) == nullptr;
    if (const auto unlocked = locks.missing(state.wanted.table, AccessExclusiveLock); unlocked && !renamed)
        return action_of(state, "kept", *unlocked);
    if (state.wanted.is_view())
        if (const std::string names = dependents(spi, state.oid); !names.empty())
            return action_of(state, "kept", "others depend on it: " + names);
    if (auto failure = pg::attempt([&] {
            if (keep_additions)
                remember_additions(spi, site, state);
            if (state.wanted.is_trigger())
                drop_triggers(spi, state);
            else
                spi.query(drop_statement(site, state));
            remember(spi, site, state, false, {}, reason);
        }))
        return action_of(state, "kept", failure_reason(*failure));
    return action_of(state, "dropped");
}

void remember_disabled(pg::Spi &spi, const Site &site, const State &state, bool disabled) {
    spi.query("INSERT INTO " + site.extension_schema() +
                  ".wc_registry (name, kind, table_name, disabled) VALUES ($1, $2, $3, $4::boolean)"
                  " ON CONFLICT (name) DO UPDATE SET disabled = excluded.disabled",
              {state.wanted.name, state.wanted.kind, state.wanted.table, disabled ? "true" : "false"});
}

} // namespace

std::vector<Action> drop_chosen(pg::Spi &spi, const char *function, const Choice &chosen, const std::string &reason,
                                bool keep_additions) {
    pg::SettingScope settings;
    settings.set("lock_timeout", std::to_string(pg::settings::lock_timeout).c_str());
    one_at_a_time(spi, function);
    const Site site(spi);
    Locks locks(spi, site);
    for (const State &state : inspect(spi, site))
        if (state.ours() && chosen(state.wanted))
            locks.want(state.wanted.table, AccessExclusiveLock);
    locks.take();
    std::vector<State> states = inspect(spi, site); // again, now that nothing can change any more
    // Views before what the order of installation puts first; the indexes of a view go with it.
    std::stable_sort(states.begin(), states.end(),
                     [](const State &a, const State &b) { return a.wanted.is_view() > b.wanted.is_view(); });
    std::map<std::string, bool> gone; // view: dropped, or kept
    std::vector<Action> actions;
    for (const State &state : states) {
        if (!state.ours() || !chosen(state.wanted))
            continue;
        if (const auto view = gone.find(state.wanted.table); view != gone.end() && !state.wanted.is_view()) {
            if (view->second)
                remember(spi, site, state, false, {}, reason);
            actions.push_back(view->second ? action_of(state, "dropped")
                                           : action_of(state, "kept", "its view is kept"));
            continue;
        }
        Action action = drop(spi, site, locks, state, reason, keep_additions && state.wanted.is_view());
        if (state.wanted.is_view())
            gone[state.wanted.name] = action.action == "dropped";
        actions.push_back(std::move(action));
    }
    return actions;
}

std::vector<Action> retire(pg::Spi &spi, const std::optional<std::string> &kind) {
    if (kind)
        require_kind(*kind);
    return drop_chosen(
        spi, "wc_retire()",
        [&](const Definition &object) {
            // An index can't outlive its view.
            return !kind || *kind == object.kind || (*kind == "materialized view" && object.of_view);
        },
        "retired: wc_install() brings it back", false);
}

std::vector<Action> suspend_views(pg::Spi &spi) {
    return drop_chosen(
        spi, "wc_suspend_views()", [](const Definition &object) { return object.is_view() || object.of_view; },
        "suspended: wc_install() brings it back", true);
}

State find_state(pg::Spi &spi, const Site &site, const std::string &name) {
    for (auto &state : inspect(spi, site))
        if (state.wanted.name == name)
            return std::move(state);
    throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "no managed object has the given name", {},
                    "SELECT kind, name FROM wc_objects() lists them.");
}

std::vector<Action> set_disabled(pg::Spi &spi, const std::string &name, bool disabled) {
    const Site site(spi);
    const State state = find_state(spi, site, name);
    std::vector<Action> actions;
    if (disabled && state.ours()) {
        actions = drop_chosen(
            spi, "wc_disable()",
            [&](const Definition &object) {
                return object.name == name || (state.wanted.is_view() && object.table == name);
            },
            {}, false);
        for (const Action &action : actions)
            if (action.name == name && action.action == "kept") {
                const bool used = state.wanted.is_view() && !dependents(spi, state.oid).empty();
                throw pg::Error(used ? ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST : ERRCODE_LOCK_NOT_AVAILABLE,
                                "cannot switch off \"" + name + "\"", "The reason: " + action.reason + ".",
                                used ? "Drop what depends on it, and try again." : "Try again at a quiet time.");
            }
    }
    remember_disabled(spi, site, state, disabled);
    if (disabled && state.wanted.is_view()) // nobody needs to note what only this view reads
        for (Action &action : drop_chosen(
                 spi, "wc_disable()",
                 [](const Definition &object) { return object.is_trigger() && !object.not_applicable.empty(); }, {},
                 false))
            actions.push_back(std::move(action));
    actions.push_back(action_of(state, disabled ? "disabled" : "enabled",
                                disabled ? "wc_install() leaves it out" : "wc_install() makes it"));
    return actions;
}

} // namespace wc::schema
