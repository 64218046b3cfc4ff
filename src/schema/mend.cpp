// Putting the triggers that capture changes in order, outside of wc_install().
#include "schema/locks.hpp"
#include "schema/schema.hpp"
#include "schema/triggers.hpp"

#include "pg/guc.hpp"
#include "pg/membership.hpp"
#include "pg/transaction.hpp"

namespace wc::schema {

namespace {

// The object of one table, if it is one that wc_install() has made.
std::optional<State> state_of(pg::Spi &spi, const Site &site, const std::string &table) {
    std::vector<Definition> wanted;
    add_triggers(spi, site, wanted);
    const auto present = present_triggers(spi, site, wanted);
    for (Definition &object : wanted) {
        if (object.table != table || !object.applicable())
            continue;
        State state;
        state.wanted = std::move(object);
        const auto found = present.find(table);
        const Likeness likeness =
            compare_triggers(state, found == present.end() ? std::vector<Trigger>() : found->second);
        state.validated = likeness == Likeness::same;
        if (state.ours())
            return state;
    }
    return {};
}

} // namespace

std::optional<std::string> mend_triggers(pg::Spi &spi, const std::string &table) {
    pg::SettingScope settings;
    settings.set("lock_timeout", std::to_string(pg::settings::lock_timeout).c_str());
    std::optional<Site> site(spi);
    std::optional<State> state = state_of(spi, *site, table);
    if (!state || state->validated)
        return {};
    Locks locks(spi, *site);
    locks.want(table, ShareRowExclusiveLock);
    locks.take();
    if (const auto reason = locks.missing(table, ShareRowExclusiveLock))
        return reason;
    const Site now(spi); // again, now that nothing can change any more
    state = state_of(spi, now, table);
    if (!state || state->validated)
        return {};
    const pg::NotMembers not_members;
    if (const auto failure = pg::attempt([&] { make_triggers(spi, now, *state, false); }))
        return failure_reason(*failure);
    return {};
}

void restore_guards(pg::Spi &spi) {
    for (auto &row : spi.query("SELECT n.nspname, c.relname FROM pg_catalog.pg_trigger AS t"
                               "  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid"
                               "  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                               " WHERE t.tgfoid = pg_catalog.to_regprocedure($1) AND t.tgenabled <> 'R'"
                               "   AND t.tgname = 'whitecross_ignore_replicated'"
                               " ORDER BY c.relname",
                               {pg::quote_name(pg::extension_schema()) + ".wc_ignore_replicated()"})
                         .rows) {
        const std::string table = pg::quote_name(*row[0]) + "." + pg::quote_name(*row[1]);
        const auto failure = pg::attempt(
            [&] { spi.query("ALTER TABLE " + table + " ENABLE REPLICA TRIGGER whitecross_ignore_replicated"); });
        if (!failure)
            continue;
        const std::string reason = failure_reason(*failure);
        const char *name = row[1]->c_str();
        const char *text = reason.c_str();
        pg::call([=] {
            ereport(WARNING,
                    (errmsg("a trigger of table \"%s\" is switched off, and could not be switched on: %s", name, text),
                     errhint("Run wc_install() again at a quiet time.")));
        });
    }
}

} // namespace wc::schema
