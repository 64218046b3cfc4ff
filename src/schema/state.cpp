// What is there of each managed object, and what that means.
#include "schema/state.hpp"

#include "pg/expression.hpp"
#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "pg/transaction.hpp"
#include "schema/triggers.hpp"

#include <algorithm>

namespace wc::schema {

namespace {

// An index or a view as the catalogues have it.
struct Present {
    Oid oid = InvalidOid;
    char relkind = '\0';
    std::string table;
    bool table_in_schema = false;
    bool plain_btree = false; // B-tree, default operator classes, collations of the columns, no expressions
    bool unique = false;
    bool nulls_not_distinct = false;
    bool valid = true;
    bool populated = true;
    int key_count = 0;
    std::vector<IndexKey> columns; // key columns, then included ones
    pg::Text predicate;            // pg_node_tree
    Oid table_oid = InvalidOid;
    pg::Text comment;
};

std::map<std::string, Present> present_relations(pg::Spi &spi, const Site &site) {
    const std::string names =
        "(SELECT name FROM " + site.catalogue().indexes + " UNION ALL SELECT name FROM " + site.catalogue().views + ")";
    std::map<std::string, Present> all;
    for (
        auto &row :
        spi.query(
               "SELECT c.relname, c.oid, c.relkind, c.relispopulated, t.relname, t.oid, t.relnamespace = n.oid,"
               "       i.indisunique, i.indnullsnotdistinct, i.indisvalid AND i.indisready, i.indnkeyatts,"
               "       i.indpred::text,"
               "       am.amname = 'btree' AND i.indexprs IS NULL AND NOT i.indisexclusion"
               "         AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indclass::oid[]) AS o(oid)"
               "                           JOIN pg_catalog.pg_opclass AS oc USING (oid) WHERE NOT oc.opcdefault)"
               "         AND NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indcollation::oid[]))"
               "                             AS k(attnum, coll)"
               "                           JOIN pg_catalog.pg_attribute AS a"
               "                             ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
               "                          WHERE k.coll <> 0 AND k.coll <> a.attcollation),"
               "       pg_catalog.obj_description(c.oid, 'pg_class')"
               "  FROM pg_catalog.pg_class AS c"
               "  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
               "  LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid"
               "  LEFT JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid"
               "  LEFT JOIN pg_catalog.pg_am AS am ON am.oid = c.relam"
               " WHERE n.nspname = $1 AND c.relname IN " +
                   names,
               {site.setting("base_schema")})
            .rows) {
        Present &present = all[*row[0]];
        present.oid = pg::oid_of(row[1]);
        present.relkind = row[2]->front();
        present.populated = row[3] == "t";
        present.table = row[4].value_or("");
        present.table_oid = pg::oid_of(row[5]);
        present.table_in_schema = row[6] == "t";
        present.unique = row[7] == "t";
        present.nulls_not_distinct = row[8] == "t";
        present.valid = row[9] != "f";
        present.key_count = std::stoi(row[10].value_or("0"));
        present.predicate = row[11];
        present.plain_btree = row[12] == "t";
        present.comment = row[13];
    }
    for (auto &row :
         spi.query(
                "SELECT c.relname, a.attname, (coalesce(o.opt, 0) & 1) = 1, (coalesce(o.opt, 0) & 2) = 2"
                "  FROM pg_catalog.pg_index AS i"
                "  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid"
                "  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                "  CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)"
                "  LEFT JOIN LATERAL pg_catalog.unnest(i.indoption::int2[]) WITH ORDINALITY AS o(opt, n) ON o.n = k.n"
                "  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
                " WHERE n.nspname = $1 AND c.relname IN " +
                    names + " ORDER BY c.oid, k.n",
                {site.setting("base_schema")})
             .rows) {
        Present &present = all[*row[0]];
        const bool descending = row[2] == "t";
        if (descending != (row[3] == "t")) // NULLS FIRST or LAST other than the default of its direction
            present.plain_btree = false;
        present.columns.push_back({*row[1], descending});
    }
    return all;
}

struct PresentConstraint {
    Oid oid = InvalidOid;
    bool is_check = false;
    bool validated = true;
    pg::Text expression; // pg_node_tree
    pg::Text comment;
    std::vector<Oid> inherited;
};

std::map<std::pair<std::string, std::string>, PresentConstraint> present_constraints(pg::Spi &spi, const Site &site) {
    std::map<std::pair<std::string, std::string>, PresentConstraint> all;
    const std::string names = "(SELECT name FROM " + site.extension_schema() + ".wc_constraint_definition)";
    for (auto &row : spi.query("SELECT t.relname, k.conname, k.oid, k.contype = 'c', k.convalidated, k.conbin::text,"
                               "       pg_catalog.obj_description(k.oid, 'pg_constraint')"
                               "  FROM pg_catalog.pg_constraint AS k"
                               "  JOIN pg_catalog.pg_class AS t ON t.oid = k.conrelid"
                               "  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace"
                               " WHERE n.nspname = $1 AND k.conname IN " +
                                   names,
                               {site.setting("base_schema")})
                         .rows)
        all[{*row[0], *row[1]}] = {pg::oid_of(row[2]), row[3] == "t", row[4] == "t", row[5], row[6], {}};
    // A constraint of a partition knows its parent's by nothing but the name.
    for (auto &row : spi.query("WITH RECURSIVE child AS ("
                               "  SELECT t.relname AS parent, i.inhrelid AS oid FROM pg_catalog.pg_inherits AS i"
                               "    JOIN pg_catalog.pg_class AS t ON t.oid = i.inhparent"
                               "    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace"
                               "   WHERE n.nspname = $1"
                               "  UNION"
                               "  SELECT c.parent, i.inhrelid FROM pg_catalog.pg_inherits AS i"
                               "    JOIN child AS c ON c.oid = i.inhparent)"
                               "SELECT c.parent, k.conname, k.oid FROM child AS c"
                               "  JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid"
                               " WHERE k.contype = 'c' AND k.coninhcount > 0 AND k.conname IN " +
                                   names,
                               {site.setting("base_schema")})
                         .rows)
        if (const auto found = all.find({*row[0], *row[1]}); found != all.end())
            found->second.inherited.push_back(pg::oid_of(row[2]));
    return all;
}

// Two definitions that only the server can compare; one that can't be analysed here is another one. In a
// subtransaction: what fails leaves the relation open.
bool same(Oid relation, const std::string &ours, const std::string &stored, bool predicate) {
    bool result = false;
    const auto failure = pg::attempt([&] { result = pg::same_expression(relation, ours, stored, predicate); });
    return result && !failure;
}

bool same_index(const Definition &wanted, const Present &present) {
    if (present.relkind != 'i' && present.relkind != 'I')
        return false;
    if (!present.plain_btree || !present.table_in_schema || present.table != wanted.table ||
        present.unique != wanted.unique || present.nulls_not_distinct != wanted.nulls_not_distinct ||
        present.key_count != static_cast<int>(wanted.keys.size()) ||
        present.columns.size() != wanted.keys.size() + wanted.include.size())
        return false;
    for (size_t i = 0; i < present.columns.size(); ++i) {
        const bool key = i < wanted.keys.size();
        const std::string &name = key ? wanted.keys[i].column : wanted.include[i - wanted.keys.size()];
        if (present.columns[i].column != name || (key && present.columns[i].descending != wanted.keys[i].descending))
            return false;
    }
    if (wanted.predicate.empty() || !present.predicate)
        return wanted.predicate.empty() && !present.predicate;
    return same(present.table_oid, wanted.predicate, *present.predicate, true);
}

std::map<std::string, Remembered> registry(pg::Spi &spi, const Site &site) {
    std::map<std::string, Remembered> all;
    for (auto &row :
         spi.query("SELECT name, made, disabled, definition, reason FROM " + site.extension_schema() + ".wc_registry")
             .rows)
        all[*row[0]] = {row[1] == "t", row[2] == "t", row[3], row[4]};
    return all;
}

// Class and OID of what DROP EXTENSION removes without owning it.
using Links = std::set<std::pair<Oid, Oid>>;
Links linked_objects(pg::Spi &spi) {
    Links all;
    for (auto &row : spi.query("SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d"
                               "  JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid"
                               " WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
                               "   AND d.deptype = 'x' AND e.extname = 'whitecross'")
                         .rows)
        all.emplace(pg::oid_of(row[0]), pg::oid_of(row[1]));
    return all;
}

// Whether what is there is what we made, or something that took its place under its name: then it isn't ours to drop.
// A restore loses the links of constraints, ALTER COLUMN TYPE those of indexes; a view never loses its link.
// A trigger is known by the function that it calls. same: whether it is what is wanted; of a view that is known only by
// its having been made from the same statement.
void judge_origin(State &state, const Links &links, bool &same, const pg::Text &comment) {
    const bool linked = links.count({state.class_id, state.oid}) > 0;
    state.linked = linked && std::all_of(state.inherited.begin(), state.inherited.end(), [&](Oid constraint) {
                       return links.count({state.class_id, constraint}) > 0;
                   });
    if (!state.remembered.made || linked || state.wanted.is_trigger())
        return;
    if (state.wanted.is_view())
        same = false;
    if (!same && (state.wanted.is_view() || comment != state.wanted.comment))
        state.remembered.made = false;
}

// Decides the status of an object that is there. same: whether it is what is wanted.
void judge_present(State &state, bool same) {
    if (state.remembered.made) {
        state.status = same ? Status::installed : Status::outdated;
        state.reason = same && state.populated ? state.wanted.note : state.remembered.reason.value_or("");
        if (same && !state.populated && state.reason.empty())
            state.reason = "not filled: run wc_install() or wc_refresh()";
        if (same && !state.validated)
            state.reason = state.wanted.is_constraint() ? "not validated: wc_validate() counts the rows that violate it"
                           : state.wanted.is_trigger()  ? "not on every child, or switched off: wc_install() mends it"
                                                        : "invalid: REINDEX INDEX mends it";
        if (!same && !state.wanted.applicable())
            state.reason = state.wanted.not_applicable + state.wanted.missing;
        if (!same && state.reason.empty())
            state.reason = "made from another definition: wc_install() rebuilds it";
    } else {
        state.status = same ? Status::adopted : Status::conflict;
        state.reason = same ? "found with the same definition: it stays when the extension goes"
                            : "another object has this name: not touched";
    }
}

void judge_absent(State &state) {
    state.status = Status::pending;
    state.reason = !state.wanted.missing.empty() ? state.wanted.missing
                   : state.remembered.reason     ? *state.remembered.reason
                                                 : "not installed yet: run wc_install()";
}

// An index of a view that isn't to be there isn't either.
void follow_views(std::vector<State> &states) {
    std::map<std::string, Status> views;
    for (const State &state : states)
        if (state.wanted.is_view())
            views[state.wanted.name] = state.status;
    for (State &state : states) {
        if (!state.wanted.of_view || state.exists())
            continue;
        const Status view = views[state.wanted.table];
        if (view == Status::disabled || view == Status::not_applicable || view == Status::conflict) {
            state.status = view == Status::disabled ? Status::disabled : Status::not_applicable;
            state.reason =
                "view " + state.wanted.table + " is " + (view == Status::conflict ? "not ours" : status_name(view));
        }
    }
}

} // namespace

const char *status_name(Status status) {
    switch (status) {
    case Status::installed:
        return "installed";
    case Status::adopted:
        return "adopted";
    case Status::conflict:
        return "conflict";
    case Status::pending:
        return "pending";
    case Status::outdated:
        return "outdated";
    case Status::disabled:
        return "disabled";
    case Status::not_applicable:
        return "not applicable";
    }
    return "unknown";
}

std::string dependents(pg::Spi &spi, Oid view) {
    // Through the rules of views, and through functions with an SQL body or a row type of the view.
    return spi
        .value("SELECT string_agg(DISTINCT d.description, ', ' ORDER BY d.description) FROM ("
               "  SELECT pg_catalog.pg_describe_object(x.classid, x.objid, 0) AS description"
               "    FROM (SELECT CASE WHEN p.classid = 'pg_catalog.pg_rewrite'::regclass"
               "                      THEN 'pg_catalog.pg_class'::regclass::oid ELSE p.classid END AS classid,"
               "                 coalesce(r.ev_class, p.objid) AS objid"
               "            FROM pg_catalog.pg_depend AS p"
               "            LEFT JOIN pg_catalog.pg_rewrite AS r"
               "              ON p.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = p.objid"
               "           WHERE p.deptype = 'n'"
               "             AND (p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = $1::oid"
               "                  OR p.refclassid = 'pg_catalog.pg_type'::regclass AND p.refobjid IN"
               "                     (SELECT oid FROM pg_catalog.pg_type WHERE typrelid = $1::oid))) AS x"
               "   WHERE NOT (x.classid = 'pg_catalog.pg_class'::regclass AND x.objid = $1::oid)) AS d",
               {std::to_string(view)})
        .value_or("");
}

std::vector<State> inspect(pg::Spi &spi, const Site &site) {
    const auto relations = present_relations(spi, site);
    const auto constraints = present_constraints(spi, site);
    const auto remembered = registry(spi, site);
    const auto linked = linked_objects(spi);
    std::vector<State> states;
    auto wanted_objects = definitions(spi, site);
    const auto triggers = present_triggers(spi, site, wanted_objects);
    for (auto &definition : wanted_objects) {
        State &state = states.emplace_back();
        state.wanted = std::move(definition);
        const Definition &wanted = state.wanted;
        if (const auto found = remembered.find(wanted.name); found != remembered.end())
            state.remembered = found->second;

        bool same = false;
        pg::Text comment;
        if (wanted.is_constraint()) {
            state.class_id = ConstraintRelationId;
            if (const auto found = constraints.find({wanted.table, wanted.name}); found != constraints.end()) {
                const PresentConstraint &present = found->second;
                state.oid = present.oid;
                state.validated = present.validated;
                state.inherited = present.inherited;
                comment = present.comment;
                same = wanted.applicable() && present.is_check && present.expression &&
                       schema::same(site.table(wanted.table)->relid, wanted.expression, *present.expression, false);
            }
        } else if (wanted.is_trigger()) {
            const auto found = triggers.find(wanted.table);
            const Likeness likeness =
                compare_triggers(state, found == triggers.end() ? std::vector<Trigger>() : found->second);
            state.validated = likeness == Likeness::same;
            same = likeness != Likeness::other && wanted.applicable();
        } else if (const auto found = relations.find(wanted.name); found != relations.end()) {
            const Present &present = found->second;
            state.class_id = RelationRelationId;
            state.oid = present.oid;
            state.populated = present.populated;
            state.validated = present.valid;
            comment = present.comment;
            // A view's text changes when the server prints it: what tells is the statement that made it.
            same = wanted.applicable() &&
                   (wanted.is_view() ? present.relkind == 'm' && state.remembered.definition == wanted.sql
                                     : same_index(wanted, present));
        } else {
            state.class_id = RelationRelationId;
        }
        if (state.exists())
            judge_origin(state, linked, same, comment);

        if (!wanted.not_applicable.empty() && !state.ours()) {
            state.status = Status::not_applicable;
            state.reason = wanted.not_applicable;
        } else if (state.remembered.disabled && !state.ours()) {
            state.status = Status::disabled;
            state.reason = "switched off: wc_enable() and then wc_install() bring it back";
        } else if (state.exists()) {
            judge_present(state, same);
        } else {
            judge_absent(state);
        }
    }
    follow_views(states);
    return states;
}

} // namespace wc::schema
