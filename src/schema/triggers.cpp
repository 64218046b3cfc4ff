// The triggers that capture changes.
//
// An ordinary table, and each table that inherits from it: a statement's rows are noted by triggers with transition
// tables, one for each event; a row trigger serves sessions in the role of a replica, where logical replication fires
// no statement trigger; TRUNCATE is noted whatever the role. A statement that names another relation of the same rows,
// a parent that is not of this family, fires none of these: there a row trigger sees to it. A statement trigger of a
// partitioned table misses what is written to a partition directly, so it has a row trigger, which the server clones.
#include "schema/triggers.hpp"

#include "core/template.hpp"
#include "pg/membership.hpp"
#include "pg/transaction.hpp"
#include "schema/capture.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_trigger.h"
}

namespace wc::schema {

namespace {

constexpr int of_rows = TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
const char *const old_rows = "old_rows";
const char *const new_rows = "new_rows";

// A base table, or one of its partitions or children.
struct Member {
    Oid relid = InvalidOid;
    std::string qualified;
    bool root = false;
    bool partitioned = false; // the base table is
    bool outside = false;     // one of the family has a parent that is not of it
};

std::string qualified(const pg::Text &schema, const pg::Text &name) {
    return pg::quote_name(*schema) + "." + pg::quote_name(*name);
}

bool capture_known(pg::Spi &spi, const Site &site) {
    return spi.value("SELECT pg_catalog.to_regprocedure($1)", {site.extension_schema() + ".wc_capture()"}).has_value();
}

std::map<std::string, std::vector<Member>> members(pg::Spi &spi, const Site &site) {
    std::map<std::string, std::vector<Member>> all;
    for (auto &row :
         spi.query("WITH RECURSIVE family AS ("
                   "  SELECT c.relname AS root, c.oid AS root_oid, c.relkind = 'p' AS partitioned, c.oid"
                   "    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                   "   WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')"
                   "     AND c.relname IN (SELECT table_name FROM " +
                       site.catalogue().tables +
                       ")"
                       "  UNION"
                       "  SELECT f.root, f.root_oid, f.partitioned, i.inhrelid FROM family AS f"
                       "    JOIN pg_catalog.pg_inherits AS i ON i.inhparent = f.oid)"
                       "SELECT f.root, c.oid, n.nspname, c.relname, c.oid = f.root_oid, f.partitioned,"
                       "       bool_or(EXISTS (SELECT FROM pg_catalog.pg_inherits AS i"
                       "                        WHERE i.inhrelid = c.oid"
                       "                          AND NOT EXISTS (SELECT FROM family AS o"
                       "                                           WHERE o.root = f.root AND o.oid = i.inhparent)))"
                       "         OVER (PARTITION BY f.root)"
                       "  FROM family AS f"
                       "  JOIN pg_catalog.pg_class AS c ON c.oid = f.oid"
                       "  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                       // What another server or another session's temporary tables hold can't be watched from here.
                       " WHERE f.partitioned OR c.relkind = 'r' AND c.relpersistence <> 't'"
                       " ORDER BY f.root, c.oid <> f.root_oid, n.nspname, c.relname",
                   {site.setting("base_schema")})
             .rows)
        all[*row[0]].push_back(
            {pg::oid_of(row[1]), qualified(row[2], row[3]), row[4] == "t", row[5] == "t", row[6] == "t"});
    return all;
}

Trigger trigger_of(const Member &member, const std::string &name, int type, char enabled) {
    Trigger trigger;
    trigger.relation = member.relid;
    trigger.on = member.qualified;
    trigger.name = name;
    trigger.type = type;
    trigger.enabled = enabled;
    if ((type & TRIGGER_TYPE_ROW) == 0 && (type & (TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE)) != 0)
        trigger.old_rows = old_rows;
    if ((type & TRIGGER_TYPE_ROW) == 0 && (type & (TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_INSERT)) != 0)
        trigger.new_rows = new_rows;
    return trigger;
}

void add_wanted(const Member &member, std::vector<Trigger> &out) {
    if (member.partitioned) {
        Trigger row = trigger_of(member, "wc_capture_row", of_rows, TRIGGER_FIRES_ALWAYS);
        row.clone = !member.root;
        out.push_back(std::move(row));
        if (member.root)
            out.push_back(trigger_of(member, "wc_capture_truncate", TRIGGER_TYPE_TRUNCATE, TRIGGER_FIRES_ALWAYS));
        return;
    }
    out.push_back(trigger_of(member, "wc_capture_insert", TRIGGER_TYPE_INSERT, TRIGGER_FIRES_ON_ORIGIN));
    out.push_back(trigger_of(member, "wc_capture_update", TRIGGER_TYPE_UPDATE, TRIGGER_FIRES_ON_ORIGIN));
    out.push_back(trigger_of(member, "wc_capture_delete", TRIGGER_TYPE_DELETE, TRIGGER_FIRES_ON_ORIGIN));
    out.push_back(trigger_of(member, "wc_capture_replica", of_rows, TRIGGER_FIRES_ON_REPLICA));
    out.push_back(trigger_of(member, "wc_capture_truncate", TRIGGER_TYPE_TRUNCATE, TRIGGER_FIRES_ALWAYS));
    if (member.outside)
        out.push_back(trigger_of(member, "wc_capture_row", of_rows, TRIGGER_FIRES_ALWAYS));
}

std::string create_statement(const Trigger &trigger, const std::string &call, bool replace) {
    std::string events;
    for (const auto &[bit, word] :
         {std::pair{TRIGGER_TYPE_INSERT, "INSERT"}, std::pair{TRIGGER_TYPE_UPDATE, "UPDATE"},
          std::pair{TRIGGER_TYPE_DELETE, "DELETE"}, std::pair{TRIGGER_TYPE_TRUNCATE, "TRUNCATE"}})
        if ((trigger.type & bit) != 0)
            events += (events.empty() ? "" : " OR ") + std::string(word);
    std::string sql = std::string("CREATE ") + (replace ? "OR REPLACE " : "") + "TRIGGER " + trigger.name + " AFTER " +
                      events + " ON " + trigger.on;
    if (!trigger.old_rows.empty() || !trigger.new_rows.empty())
        sql += " REFERENCING";
    if (!trigger.old_rows.empty())
        sql += " OLD TABLE AS " + trigger.old_rows;
    if (!trigger.new_rows.empty())
        sql += " NEW TABLE AS " + trigger.new_rows;
    return sql + ((trigger.type & TRIGGER_TYPE_ROW) != 0 ? " FOR EACH ROW " : " FOR EACH STATEMENT ") + call;
}

std::string enable_statement(const Trigger &trigger) {
    const char *state = trigger.enabled == TRIGGER_FIRES_ALWAYS       ? "ALWAYS "
                        : trigger.enabled == TRIGGER_FIRES_ON_REPLICA ? "REPLICA "
                                                                      : "";
    return "ALTER TABLE " + trigger.on + " ENABLE " + state + "TRIGGER " + trigger.name;
}

// As pg_trigger.tgargs has them, in hexadecimal digits: each ends with a byte 0.
std::string stored_arguments(const std::vector<std::string> &arguments) {
    static const char digits[] = "0123456789abcdef";
    std::string out;
    const auto add = [&](unsigned char byte) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    };
    for (const auto &argument : arguments) {
        for (const char c : argument)
            add(static_cast<unsigned char>(c));
        add(0);
    }
    return out;
}

void resolve(const Site &site, const Capture &capture, const std::vector<Member> &family, Definition &object) {
    const std::vector<std::string> arguments = {object.table, core::array_literal(capture.keys),
                                                core::array_literal(capture.compared)};
    object.call = "EXECUTE FUNCTION " + site.extension_schema() + ".wc_capture(";
    for (size_t i = 0; i < arguments.size(); ++i)
        object.call += (i > 0 ? ", " : "") + pg::quote_value(arguments[i]);
    object.call += ")";
    for (const Member &member : family)
        add_wanted(member, object.triggers);
    for (Trigger &trigger : object.triggers) {
        trigger.arguments = stored_arguments(arguments);
        if (trigger.relation != site.table(object.table)->relid)
            continue;
        object.sql += (object.sql.empty() ? "" : "; ") + create_statement(trigger, object.call, false);
        if (trigger.enabled != TRIGGER_FIRES_ON_ORIGIN)
            object.sql += "; " + enable_statement(trigger);
    }
}

bool same_trigger(const Trigger &a, const Trigger &b) {
    return a.relation == b.relation && a.name == b.name;
}

bool same_definition(const Trigger &wanted, const Trigger &present) {
    return present.ours && present.plain && present.clone == wanted.clone && present.type == wanted.type &&
           present.arguments == wanted.arguments && present.old_rows == wanted.old_rows &&
           present.new_rows == wanted.new_rows;
}

const Trigger *find(const std::vector<Trigger> &triggers, const Trigger &wanted) {
    const auto found =
        std::find_if(triggers.begin(), triggers.end(), [&](const Trigger &one) { return same_trigger(one, wanted); });
    return found == triggers.end() ? nullptr : &*found;
}

std::string drop_statement(const Trigger &trigger) {
    return "DROP TRIGGER " + pg::quote_name(trigger.name) + " ON " + trigger.on;
}

} // namespace

void add_triggers(pg::Spi &spi, const Site &site, std::vector<Definition> &out) {
    if (!capture_known(spi, site))
        return;
    const auto all = captures(spi, site);
    const auto families = members(spi, site);
    std::set<std::string> tables;
    for (const auto &[table, capture] : all)
        tables.insert(table);
    for (auto &row : spi.query("SELECT DISTINCT table_name FROM " + site.catalogue().sources).rows)
        tables.insert(*row[0]);
    // What is there from before, for a table that no view reads any more.
    for (auto &row :
         spi.query("SELECT DISTINCT pg_catalog.split_part(pg_catalog.encode(t.tgargs, 'escape'), E'\\\\000', 1)"
                   "  FROM pg_catalog.pg_trigger AS t"
                   " WHERE t.tgfoid = pg_catalog.to_regprocedure($1)",
                   {site.extension_schema() + ".wc_capture()"})
             .rows)
        tables.insert(*row[0]);
    for (const auto &table : tables) {
        Definition object;
        object.kind = "trigger";
        object.name = "wc_capture_" + table;
        object.table = table;
        object.comment = "Notes in wc_change which rows of the table have changed, for refreshes that follow changes.";
        const auto capture = all.find(table);
        const auto family = families.find(table);
        if (capture == all.end() && !site.is_canonical_table(table)) // of a view that was removed
            object.not_applicable = "no view reads table " + table;
        else if (site.table(table) == nullptr || family == families.end())
            object.missing = "table " + site.qualified(table) + " does not exist";
        else if (capture == all.end())
            object.not_applicable = "no view that is in use here reads table " + table;
        else
            resolve(site, capture->second, family->second, object);
        out.push_back(std::move(object));
    }
}

std::map<std::string, std::vector<Trigger>> present_triggers(pg::Spi &spi, const Site &site,
                                                             const std::vector<Definition> &wanted) {
    std::map<std::string, std::vector<Trigger>> all;
    if (!capture_known(spi, site))
        return all;
    for (auto &row :
         spi.query("SELECT t.oid, t.tgrelid, n.nspname, c.relname, t.tgname, t.tgtype, t.tgenabled,"
                   "       pg_catalog.encode(t.tgargs, 'hex'), coalesce(t.tgoldtable, ''), coalesce(t.tgnewtable, ''),"
                   "       t.tgparentid <> 0, t.tgfoid = pg_catalog.to_regprocedure($1),"
                   "       t.tgqual IS NULL AND t.tgattr::text = '' AND NOT t.tgdeferrable,"
                   "       pg_catalog.split_part(pg_catalog.encode(t.tgargs, 'escape'), E'\\\\000', 1)"
                   "  FROM pg_catalog.pg_trigger AS t"
                   "  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid"
                   "  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                   " WHERE NOT t.tgisinternal"
                   "   AND (t.tgfoid = pg_catalog.to_regprocedure($1) OR t.tgname LIKE E'wc\\\\_capture\\\\_%')"
                   " ORDER BY t.oid",
                   {site.extension_schema() + ".wc_capture()"})
             .rows) {
        Trigger trigger;
        trigger.oid = pg::oid_of(row[0]);
        trigger.relation = pg::oid_of(row[1]);
        trigger.on = qualified(row[2], row[3]);
        trigger.name = *row[4];
        trigger.type = std::stoi(*row[5]);
        trigger.enabled = row[6]->front();
        trigger.arguments = *row[7];
        trigger.old_rows = *row[8];
        trigger.new_rows = *row[9];
        trigger.clone = row[10] == "t";
        trigger.ours = row[11] == "t";
        trigger.plain = row[12] == "t";
        for (const Definition &object : wanted)
            if (object.is_trigger() &&
                (trigger.ours ? *row[13] == object.table : find(object.triggers, trigger) != nullptr))
                all[object.table].push_back(trigger);
    }
    return all;
}

Likeness compare_triggers(State &state, const std::vector<Trigger> &present) {
    const std::vector<Trigger> &wanted = state.wanted.triggers;
    state.class_id = TriggerRelationId;
    state.triggers = present;
    for (const Trigger &trigger : present) {
        if (!trigger.ours || trigger.clone) // a clone goes with its parent's
            continue;
        state.remembered.made = true; // whatever calls our function can't outlive it
        if (!OidIsValid(state.oid))
            state.oid = trigger.oid;
        else
            state.inherited.push_back(trigger.oid);
    }
    if (!OidIsValid(state.oid) && !present.empty()) {
        state.remembered.made = false;
        state.oid = present.front().oid;
        return Likeness::other;
    }
    Likeness likeness = Likeness::same;
    for (const Trigger &one : wanted) {
        const Trigger *found = find(present, one);
        if (found != nullptr && !same_definition(one, *found))
            return Likeness::other;
        if (found == nullptr || found->enabled != one.enabled)
            likeness = Likeness::incomplete;
    }
    for (const Trigger &one : present)
        if (find(wanted, one) == nullptr)
            return Likeness::other;
    return likeness;
}

void drop_triggers(pg::Spi &spi, const State &state) {
    for (const Trigger &one : state.triggers)
        if (one.ours && !one.clone)
            spi.query(drop_statement(one));
}

LOCKMODE trigger_lock(const State &state) {
    const bool extra = std::any_of(state.triggers.begin(), state.triggers.end(), [&](const Trigger &one) {
        return one.ours && !one.clone && find(state.wanted.triggers, one) == nullptr;
    });
    return extra ? AccessExclusiveLock : ShareRowExclusiveLock;
}

void make_triggers(pg::Spi &spi, const Site &site, const State &state, bool extra) {
    for (const Trigger &one : state.wanted.triggers) {
        const Trigger *found = find(state.triggers, one);
        if (found != nullptr && !found->ours)
            throw pg::Error(ERRCODE_DUPLICATE_OBJECT, "another trigger has the name " + one.name);
        const bool make = !one.clone && (found == nullptr || !same_definition(one, *found));
        if (make) {
            spi.query(create_statement(one, state.wanted.call, true));
            spi.query("COMMENT ON TRIGGER " + one.name + " ON " + one.on + " IS " +
                      pg::quote_value(state.wanted.comment));
        }
        if (make ? one.enabled != TRIGGER_FIRES_ON_ORIGIN : found != nullptr && found->enabled != one.enabled)
            spi.query(enable_statement(one));
    }
    if (extra)
        for (const Trigger &one : state.triggers)
            if (one.ours && !one.clone && find(state.wanted.triggers, one) == nullptr)
                spi.query(drop_statement(one));
    // Replacing one loses its link, and there may be new ones.
    for (auto &row : spi.query("SELECT t.oid FROM pg_catalog.pg_trigger AS t"
                               " WHERE t.tgfoid = pg_catalog.to_regprocedure($1) AND t.tgparentid = 0"
                               "   AND pg_catalog.split_part(pg_catalog.encode(t.tgargs, 'escape'), E'\\\\000', 1) = $2"
                               " ORDER BY t.oid",
                               {site.extension_schema() + ".wc_capture()", state.wanted.table})
                         .rows)
        pg::link(TriggerRelationId, pg::oid_of(row[0]));
}

} // namespace wc::schema
