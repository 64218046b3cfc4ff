// A SELECT as the server understands it.
#include "pg/query.hpp"

#include "pg/compat.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "utils/formatting.h"
#include "utils/typcache.h"
}

namespace wc::pg {

namespace {

// What follows is plain server code: call it inside a guard.

struct Findings {
    const char *text; // the statement
    List *relations;
    List *functions;
    const char *unstable;
    bool of_clock;
    bool writes;
    bool locks;
};

void note(Findings *found, const char *what, bool clock) {
    if (found->unstable != nullptr)
        return;
    found->unstable = what;
    found->of_clock = clock;
}

// Built-in functions that are called stable because they don't change within a statement, and yet are no function of
// the tables and settings of the site.
bool tells_time(const char *name, int arguments) {
    static const char *const clocks[] = {"now", "transaction_timestamp", "statement_timestamp"};
    for (const char *const one : clocks)
        if (strcmp(name, one) == 0)
            return true;
    return strcmp(name, "age") == 0 && arguments == 1; // since today's midnight
}

bool tells_session(const char *name) {
    static const char *const session[] = {"current_setting",       "txid_current",        "pg_current_xact_id",
                                          "txid_current_snapshot", "pg_current_snapshot", "current_schemas",
                                          "inet_client_addr",      "inet_client_port"};
    for (const char *const one : session)
        if (strcmp(name, one) == 0)
            return true;
    return false;
}

bool classify(Oid function, void *context) {
    auto *found = static_cast<Findings *>(context);
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", function);
    const auto *row = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    const char *name = pstrdup(NameStr(row->proname));
    const bool built_in = row->pronamespace == PG_CATALOG_NAMESPACE;
    if (function >= FirstUnpinnedObjectId)
        found->functions = list_append_unique_oid(found->functions, function);
    const bool clock = (built_in && tells_time(name, row->pronargs)) || strcmp(name, "clock_timestamp") == 0 ||
                       strcmp(name, "timeofday") == 0;
    if (clock || row->provolatile == PROVOLATILE_VOLATILE || (built_in && tells_session(name)))
        note(found, psprintf("%s()", name), clock);
    ReleaseSysCache(tuple);
    return false;
}

// A date or time that was written as 'today', 'now' and the like: it became a constant as it was read.
bool is_word_for_now(const Const *constant, const char *text) {
    switch (constant->consttype) {
    case DATEOID:
    case TIMEOID:
    case TIMETZOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
        break;
    default:
        return false;
    }
    if (constant->location < 0 || constant->location >= static_cast<int>(strlen(text)))
        return false;
    const char *start = strchr(text + constant->location, '\'');
    if (start == nullptr)
        return false;
    const char *end = strchr(start + 1, '\'');
    if (end == nullptr)
        return false;
    const char *literal = asc_tolower(start + 1, end - start - 1);
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    for (const char *const word : words)
        if (strstr(literal, word) != nullptr)
            return true;
    return false;
}

bool walk(Node *node, void *context) {
    if (node == nullptr)
        return false;
    auto *found = static_cast<Findings *>(context);
    (void)check_functions_in_node(node, classify, context);
    if (IsA(node, SQLValueFunction)) {
        const auto op = reinterpret_cast<SQLValueFunction *>(node)->op;
        const bool clock = op <= SVFOP_LOCALTIMESTAMP_N;
        note(found, clock ? "CURRENT_DATE, CURRENT_TIMESTAMP or the like" : "CURRENT_USER or the like", clock);
    } else if (IsA(node, NextValueExpr)) {
        note(found, "nextval()", false);
    } else if (IsA(node, Const)) {
        if (is_word_for_now(reinterpret_cast<Const *>(node), found->text))
            note(found, "a date or time written as 'now', 'today' or the like", true);
    } else if (IsA(node, Query)) {
        auto *query = reinterpret_cast<Query *>(node);
        found->writes = found->writes || query->commandType != CMD_SELECT;
        found->locks = found->locks || query->rowMarks != NIL;
        ListCell *cell;
        foreach (cell, query->rtable) {
            const auto *entry = lfirst_node(RangeTblEntry, cell);
            if (entry->rtekind == RTE_RELATION)
                found->relations = lappend_oid(found->relations, entry->relid);
        }
        return query_tree_walker(query, compat::walker(walk), context, 0);
    }
    return expression_tree_walker(node, compat::walker(walk), context);
}

Query *analyse(const char *text) {
    List *raw = raw_parser(text, RAW_PARSE_DEFAULT);
    if (list_length(raw) != 1)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
                        errmsg("%s", raw == NIL ? "there is no statement" : "more than one statement"),
                        errhint("Give one SELECT.")));
    auto *statement = linitial_node(RawStmt, raw);
    if (!IsA(statement->stmt, SelectStmt))
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the statement is not a SELECT"),
                        errhint("Give one SELECT.")));
    Query *query = parse_analyze_fixedparams(statement, text, nullptr, 0, nullptr);
    if (query->commandType != CMD_SELECT || query->utilityStmt != nullptr)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the statement is not a SELECT"),
                        errhint("Give one SELECT, without INTO.")));
    return query;
}

struct RawColumn {
    const char *name;
    const char *type;
    bool comparable;
    bool may_be_key;
};

struct RawFacts {
    Findings found;
    RawColumn *columns;
    int count;
};

RawFacts facts_of(const char *text) {
    RawFacts out = {{text, NIL, NIL, nullptr, false, false, false}, nullptr, 0};
    Query *query = analyse(text);
    (void)walk(reinterpret_cast<Node *>(query), &out.found);
    out.columns = static_cast<RawColumn *>(palloc0(sizeof(RawColumn) * (list_length(query->targetList) + 1)));
    ListCell *cell;
    foreach (cell, query->targetList) {
        const auto *target = lfirst_node(TargetEntry, cell);
        if (target->resjunk)
            continue;
        Node *value = reinterpret_cast<Node *>(target->expr);
        const Oid type = exprType(value);
        const TypeCacheEntry *cache = lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);
        out.columns[out.count++] = {target->resname != nullptr ? pstrdup(target->resname) : "",
                                    format_type_with_typemod(type, exprTypmod(value)), OidIsValid(cache->eq_opr),
                                    OidIsValid(cache->lt_opr) && OidIsValid(get_array_type(type))};
    }
    return out;
}

} // namespace

QueryFacts query_facts(const std::string &select) {
    const char *text = select.c_str();
    const RawFacts raw = call([=] { return facts_of(text); });
    QueryFacts facts;
    for (int i = 0; i < raw.count; ++i)
        facts.columns.push_back(
            {raw.columns[i].name, raw.columns[i].type, raw.columns[i].comparable, raw.columns[i].may_be_key});
    for (int i = 0; i < list_length(raw.found.relations); ++i)
        facts.relations.push_back(list_nth_oid(raw.found.relations, i));
    for (int i = 0; i < list_length(raw.found.functions); ++i)
        facts.functions.push_back(list_nth_oid(raw.found.functions, i));
    facts.unstable = raw.found.unstable != nullptr ? raw.found.unstable : "";
    facts.of_clock = raw.found.of_clock;
    facts.writes = raw.found.writes;
    facts.locks = raw.found.locks;
    return facts;
}

} // namespace wc::pg
