// Expressions as the server understands them.
#include "pg/expression.hpp"

#include "pg/compat.hpp"

extern "C" {
#include "access/transam.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_clause.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/regproc.h"
}

namespace wc::pg {

namespace {

// What follows is plain server code: call it inside a guard.

// One SELECT with one target and no other clause.
bool only_a_target(const SelectStmt *select) {
    return select->op == SETOP_NONE && list_length(select->targetList) == 1 && select->distinctClause == NIL &&
           select->intoClause == nullptr && select->fromClause == NIL && select->whereClause == nullptr &&
           select->groupClause == NIL && select->havingClause == nullptr && select->windowClause == NIL &&
           select->valuesLists == NIL && select->sortClause == NIL && select->limitOffset == nullptr &&
           select->limitCount == nullptr && select->lockingClause == NIL && select->withClause == nullptr;
}

Node *analyse(Oid relid, const char *expression, bool predicate) {
    ::Relation relation = relation_open(relid, AccessShareLock);
    ParseState *state = make_parsestate(nullptr);
    ParseNamespaceItem *item = addRangeTableEntryForRelation(state, relation, AccessShareLock, nullptr, false, true);
    addNSItemToQuery(state, item, true, true, true);
    List *raw = raw_parser(expression, RAW_PARSE_PLPGSQL_EXPR);
    const auto *select = castNode(SelectStmt, linitial_node(RawStmt, raw)->stmt);
    if (!only_a_target(select)) // the grammar takes whatever may follow SELECT, nothing included
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not a single expression")));
    Node *value = linitial_node(ResTarget, select->targetList)->val;
    Node *analysed;
    if (predicate) {
        analysed = transformWhereClause(state, value, EXPR_KIND_INDEX_PREDICATE, "WHERE");
    } else {
        analysed = transformExpr(state, value, EXPR_KIND_CHECK_CONSTRAINT);
        analysed = coerce_to_boolean(state, analysed, "CHECK");
    }
    assign_expr_collations(state, analysed);
    if (predicate) // the form in which pg_index keeps it
        analysed = reinterpret_cast<Node *>(make_ands_explicit(make_ands_implicit(reinterpret_cast<Expr *>(analysed))));
    free_parsestate(state);
    relation_close(relation, NoLock);
    return analysed;
}

bool is_foreign(Oid function, void *found) {
    if (function < FirstUnpinnedObjectId)
        return false;
    *static_cast<Oid *>(found) = function;
    return true;
}

bool find_foreign(Node *node, void *found) {
    if (node == nullptr)
        return false;
    if (check_functions_in_node(node, is_foreign, found))
        return true;
    if (IsA(node, Query))
        return query_tree_walker(reinterpret_cast<Query *>(node), compat::walker(find_foreign), found, 0);
    return expression_tree_walker(node, compat::walker(find_foreign), found);
}

// The text is one expression, put after SELECT.
bool only_a_target(const char *text) {
    List *raw = raw_parser(text, RAW_PARSE_DEFAULT);
    return list_length(raw) == 1 && IsA(linitial_node(RawStmt, raw)->stmt, SelectStmt) &&
           only_a_target(castNode(SelectStmt, linitial_node(RawStmt, raw)->stmt));
}

Query *analyse_select(const char *text) {
    List *raw = raw_parser(text, RAW_PARSE_DEFAULT);
    if (list_length(raw) != 1 || !IsA(linitial_node(RawStmt, raw)->stmt, SelectStmt))
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("not a single SELECT")));
    return parse_analyze_fixedparams(linitial_node(RawStmt, raw), text, nullptr, 0, nullptr);
}

bool calls_foreign(Node *node) {
    Oid found = InvalidOid;
    return find_foreign(node, &found);
}

// A dump, and ALTER COLUMN TYPE, write an expression out and read it back: ARRAY['A'::varchar]::text[] comes back as
// ARRAY['A'::varchar::text], AND of ANDs as one AND. Folding constants makes one of both. It runs functions, so only
// built-in ones may be there.
bool equal_when_folded(Node *ours, Node *theirs) {
    if (equal(ours, theirs))
        return true;
    if (calls_foreign(ours) || calls_foreign(theirs))
        return false;
    return equal(eval_const_expressions(nullptr, ours), eval_const_expressions(nullptr, theirs));
}

// Appends each column reference: the number of its names, and each of them after its length in bytes.
bool collect_references(Node *node, void *out) {
    if (node == nullptr)
        return false;
    if (IsA(node, ColumnRef)) {
        auto *text = static_cast<StringInfo>(out);
        const List *fields = reinterpret_cast<ColumnRef *>(node)->fields;
        appendStringInfo(text, "%d ", list_length(fields));
        ListCell *cell;
        foreach (cell, fields) {
            const char *name = IsA(lfirst(cell), String) ? strVal(lfirst(cell)) : "";
            appendStringInfo(text, "%zu %s", strlen(name), name);
        }
    }
    return raw_expression_tree_walker(node, compat::walker(collect_references), out);
}

} // namespace

std::vector<std::vector<std::string>> referenced_names(const std::string &expression) {
    const std::string select = "SELECT (" + expression + "\n)";
    const char *text = select.c_str();
    const char *found = call([=]() -> const char * {
        StringInfoData out;
        initStringInfo(&out);
        List *raw = raw_parser(text, RAW_PARSE_DEFAULT);
        ListCell *cell;
        foreach (cell, raw)
            (void)collect_references(lfirst_node(RawStmt, cell)->stmt, &out);
        return out.data;
    });
    std::vector<std::vector<std::string>> references;
    const auto number = [&found] {
        char *end = nullptr;
        const auto value = std::strtoul(found, &end, 10);
        found = end + 1;
        return value;
    };
    while (*found != '\0') {
        auto &names = references.emplace_back(number());
        for (auto &name : names) {
            const size_t length = number();
            name.assign(found, length);
            found += length;
        }
    }
    return references;
}

bool is_single_expression(const std::string &expression) {
    // Twice: the line's end closes a comment that would swallow what follows the expression; its absence keeps it open.
    const std::string apart = "SELECT (" + expression + "\n)";
    const std::string close = "SELECT (" + expression + ")";
    const char *first = apart.c_str();
    const char *second = close.c_str();
    return call([=] { return only_a_target(first) && only_a_target(second); });
}

bool has_subselect(const std::string &select) {
    const char *text = select.c_str();
    return call([=] { return analyse_select(text)->hasSubLinks; });
}

bool same_expression(Oid relation, const std::string &expression, const std::string &stored, bool predicate) {
    const char *ours = expression.c_str();
    const char *theirs = stored.c_str();
    return call([=] {
        return equal_when_folded(analyse(relation, ours, predicate), static_cast<Node *>(stringToNode(theirs)));
    });
}

std::optional<std::string> foreign_function(const std::string &select) {
    const char *text = select.c_str();
    const char *name = call([=]() -> const char * {
        Query *query = analyse_select(text);
        Oid found = InvalidOid;
        if (!find_foreign(reinterpret_cast<Node *>(query), &found))
            return nullptr;
        return format_procedure(found);
    });
    if (name == nullptr)
        return {};
    return std::string(name);
}

} // namespace wc::pg
