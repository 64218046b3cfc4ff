// SQL-visible functions of slow statements and of statements in loops: thin, no logic.
#include "observe/bursts.hpp"
#include "observe/shown.hpp"
#include "observe/slow.hpp"

#include "core/suggestion.hpp"
#include "pg/function.hpp"

using namespace wc;
using namespace wc::observe;

namespace {

pg::Text place(client::Place where) {
    switch (where) {
    case client::Place::None:
        return {};
    case client::Place::Local:
        return "local";
    case client::Place::Network:
        return "network";
    }
    return {};
}

const char *outcome(int sqlstate) {
    if (sqlstate == 0)
        return "completed";
    return sqlstate == ERRCODE_QUERY_CANCELED ? "cancelled" : "failed";
}

// Relations are known in their own database only; one that was dropped since is left out.
pg::Text relations(const slow::Facts &facts) {
    if (facts.relation_count < 0 || facts.database != MyDatabaseId)
        return {};
    std::vector<pg::Text> names;
    for (int i = 0; i < facts.relation_count; ++i)
        if (pg::Text name = shown::relation(facts.relations[i]))
            names.push_back(std::move(name));
    return shown::array(names);
}

// Types of the server's own are known in every database, others in theirs: NULL elsewhere, and where dropped.
pg::Text parameter_types(const slow::Facts &facts) {
    if (facts.parameters < 0)
        return {};
    std::vector<pg::Text> names;
    for (int i = 0; i < facts.type_count; ++i) {
        const Oid type = facts.parameter_types[i];
        const bool known = type < FirstNormalObjectId || facts.database == MyDatabaseId;
        names.push_back(known ? shown::type(type) : pg::Text());
    }
    return shown::array(names);
}

} // namespace

// wc_slow_queries(): the last slow statements that the caller may see, newest first. Errors: 55000 not preloaded.
WC_FUNCTION(wc_slow_queries) {
    const auto entries = slow::list();
    pg::ResultSet result(fcinfo);
    for (const auto &[facts, text] : entries)
        result.add({shown::moment(facts.started_at), shown::milliseconds(facts.duration_ns),
                    shown::database(facts.database), shown::role(facts.role), facts.application_name,
                    place(facts.place), GetCommandTagName(facts.tag), shown::query_id(facts.query_id),
                    shown::text(text, facts.encoding, facts.tag), relations(facts),
                    shown::number(static_cast<int64>(facts.rows)),
                    facts.parameters >= 0 ? shown::number(facts.parameters) : pg::Text(), parameter_types(facts),
                    shown::query_id(facts.plan_hash), shown::number(facts.blocks_hit), shown::number(facts.blocks_read),
                    shown::number(facts.temp_blocks), outcome(facts.sqlstate),
                    facts.sqlstate != 0 ? pg::Text(pg::sqlstate_text(facts.sqlstate)) : pg::Text()});
    return result.done();
}

// wc_reset_slow_queries(): forgets them, of every database; how many there were. Errors: 55000 not preloaded.
WC_FUNCTION(wc_reset_slow_queries) {
    PG_RETURN_INT32(slow::reset());
}

// wc_n_plus_one(): statements that applications repeat in loops, of those that the caller may see, the latest first.
// Errors: 55000 not preloaded.
WC_FUNCTION(wc_n_plus_one) {
    const auto found = bursts::list();
    pg::ResultSet result(fcinfo);
    for (const auto &each : found)
        result.add({shown::database(each.database), shown::role(each.role), each.application_name,
                    each.kind == findings::Kind::Session ? "session" : "sessions", shown::query_id(each.query_id),
                    shown::text(each.text, each.encoding, each.tag), shown::number(static_cast<int64>(each.bursts)),
                    shown::number(each.largest), shown::moment(each.first_seen), shown::moment(each.last_seen),
                    core::suggestion(GetCommandTagName(each.tag), each.text)});
    return result.done();
}

// wc_reset_n_plus_one(): forgets them, of every database; how many there were. Errors: 55000 not preloaded.
WC_FUNCTION(wc_reset_n_plus_one) {
    PG_RETURN_INT32(bursts::reset());
}
