// What a statement asks of its tables. A column counts where a B-tree of its type's default operator class, which is
// what CREATE INDEX makes, would serve the comparison.
#include "pg/asked.hpp"

#include "pg/compat.hpp"

extern "C" {
#include "access/stratnum.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_namespace.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "rewrite/rewriteManip.h"
#include "utils/ruleutils.h"
#include "utils/selfuncs.h"
}

namespace wc::pg::asked {

namespace {

struct Place {
    PlannerInfo *root;
    RelOptInfo *rel;
    int rti;
    Oid table;
};

// What can be a column of an index: one of the table's, or an expression of them.
struct Key {
    Column column;
    Oid family; // of the default operator class
    Oid collation;
};

bool is_foreign(Oid function, void *) {
    return function >= FirstUnpinnedObjectId;
}

// Whether an expression has something that no index of ours shall be made on: parameters, sub-selects, functions that
// aren't built in, columns of other tables.
bool unfit(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, Var)) {
        const auto *var = reinterpret_cast<Var *>(node);
        return static_cast<int>(var->varno) != *static_cast<int *>(context) || var->varattno <= 0 ||
               var->varlevelsup != 0;
    }
    switch (nodeTag(node)) {
    case T_Param:
    case T_SubLink:
    case T_SubPlan:
    case T_AlternativeSubPlan:
    case T_Aggref:
    case T_GroupingFunc:
    case T_WindowFunc:
    case T_PlaceHolderVar:
    case T_CoerceToDomain:
    case T_NextValueExpr:
        return true;
    default:
        break;
    }
    if (check_functions_in_node(node, is_foreign, nullptr))
        return true;
    return expression_tree_walker(node, compat::walker(unfit), context);
}

const char *expression_text(const Place &at, Node *node) {
    Node *copy = static_cast<Node *>(copyObjectImpl(node));
    ChangeVarNodes(copy, at.rti, 1, 0);
    List *context = deparse_context_for(get_rel_name(at.table), at.table);
    return psprintf("(%s)", deparse_expression(copy, context, false, false));
}

bool key_of(const Place &at, Node *node, Key *key) {
    while (node != nullptr && IsA(node, RelabelType))
        node = reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(node)->arg);
    if (node == nullptr)
        return false;
    *key = {};
    const bool plain = IsA(node, Var);
    if (plain) {
        const auto *var = reinterpret_cast<Var *>(node);
        if (static_cast<int>(var->varno) != at.rti || var->varattno <= 0 || var->varlevelsup != 0)
            return false;
    } else if (IsA(node, Const) || !bms_equal(pull_varnos(at.root, node), at.rel->relids) ||
               unfit(node, const_cast<int *>(&at.rti)) || contain_mutable_functions(node) ||
               expression_returns_set(node)) {
        return false;
    }
    const Oid operator_class = GetDefaultOpClass(exprType(node), BTREE_AM_OID);
    if (!OidIsValid(operator_class))
        return false;
    key->family = get_opclass_family(operator_class);
    key->collation = exprCollation(node);
    key->column.sql =
        plain ? pstrdup(quote_identifier(get_attname(at.table, reinterpret_cast<Var *>(node)->varattno, false)))
              : expression_text(at, node);
    VariableStatData statistics;
    bool guessed;
    examine_variable(at.root, node, at.rti, &statistics);
    key->column.distinct = get_variable_numdistinct(&statistics, &guessed);
    ReleaseVariableStats(statistics);
    return true;
}

List *with_column(List *columns, const Column &column) {
    ListCell *cell;
    foreach (cell, columns)
        if (strcmp(static_cast<Column *>(lfirst(cell))->sql, column.sql) == 0)
            return columns;
    auto *copy = static_cast<Column *>(palloc(sizeof(Column)));
    *copy = column;
    return lappend(columns, copy);
}

bool of_this_table(const Place &at, Node *node) {
    return bms_is_member(at.rti, pull_varnos(at.root, node));
}

bool is_pattern_operator(Oid op) {
    static const char *const functions[] = {"textlike",      "texticlike", "textregexeq",
                                            "texticregexeq", "bpcharlike", "bpchariclike",
                                            "bpcharregexeq", "namelike",   "starts_with"};
    const char *name = get_func_name(get_opcode(op));
    for (const char *const one : functions)
        if (name != nullptr && strcmp(name, one) == 0)
            return true;
    return false;
}

// One comparison `left op right`; of a join if right is of other tables.
void note_comparison(const Place &at, Node *left, Oid op, Oid collation, Node *right, bool array, Table *table,
                     Statement *found) {
    Key key;
    if (of_this_table(at, right) || contain_volatile_functions(right) || !key_of(at, left, &key))
        return;
    if (is_pattern_operator(op))
        found->pattern = true;
    if (OidIsValid(key.collation) && collation != key.collation)
        return;
    const int strategy = get_op_opfamily_strategy(op, key.family);
    if (strategy == 0)
        return;
    const bool join = pull_varnos(at.root, right) != nullptr;
    if (strategy != BTEqualStrategyNumber)
        table->range = with_column(table->range, key.column);
    else if (join && !array)
        table->joined = with_column(table->joined, key.column);
    else
        table->equal = with_column(table->equal, key.column);
}

void note_clause(const Place &at, Node *clause, Table *table, Statement *found) {
    Key key;
    if (IsA(clause, OpExpr)) {
        const auto *operation = reinterpret_cast<OpExpr *>(clause);
        if (list_length(operation->args) != 2)
            return;
        auto *left = static_cast<Node *>(linitial(operation->args));
        auto *right = static_cast<Node *>(lsecond(operation->args));
        if (of_this_table(at, left)) {
            note_comparison(at, left, operation->opno, operation->inputcollid, right, false, table, found);
        } else {
            const Oid commuted = get_commutator(operation->opno);
            if (OidIsValid(commuted))
                note_comparison(at, right, commuted, operation->inputcollid, left, false, table, found);
        }
    } else if (IsA(clause, ScalarArrayOpExpr)) {
        const auto *operation = reinterpret_cast<ScalarArrayOpExpr *>(clause);
        if (operation->useOr)
            note_comparison(at, static_cast<Node *>(linitial(operation->args)), operation->opno, operation->inputcollid,
                            static_cast<Node *>(lsecond(operation->args)), true, table, found);
    } else if (IsA(clause, NullTest)) {
        const auto *test = reinterpret_cast<NullTest *>(clause);
        if (test->argisrow || !key_of(at, reinterpret_cast<Node *>(test->arg), &key))
            return;
        if (test->nulltesttype == IS_NULL)
            table->equal = with_column(table->equal, key.column);
        else
            table->range = with_column(table->range, key.column);
    } else if (IsA(clause, BooleanTest)) {
        const auto *test = reinterpret_cast<BooleanTest *>(clause);
        if ((test->booltesttype == IS_TRUE || test->booltesttype == IS_FALSE) &&
            key_of(at, reinterpret_cast<Node *>(test->arg), &key))
            table->equal = with_column(table->equal, key.column);
    } else {
        Node *tested = is_notclause(clause) ? reinterpret_cast<Node *>(get_notclausearg(clause)) : clause;
        if (IsA(tested, Var) && exprType(tested) == BOOLOID && key_of(at, tested, &key))
            table->equal = with_column(table->equal, key.column);
    }
}

// Columns of this table that the planner knows to be equal to another table's.
void note_equivalences(const Place &at, Table *table) {
    ListCell *cell;
    foreach (cell, at.root->eq_classes) {
        auto *one = lfirst_node(EquivalenceClass, cell);
        if (one->ec_has_const || one->ec_has_volatile || list_length(one->ec_members) < 2 ||
            !bms_is_member(at.rti, one->ec_relids) || bms_membership(one->ec_relids) != BMS_MULTIPLE)
            continue;
        ListCell *member_cell;
        foreach (member_cell, one->ec_members) {
            auto *member = lfirst_node(EquivalenceMember, member_cell);
            Key key;
            if (member->em_is_child || !bms_equal(member->em_relids, at.rel->relids) ||
                !key_of(at, reinterpret_cast<Node *>(member->em_expr), &key))
                continue;
            if (list_member_oid(one->ec_opfamilies, key.family) &&
                (!OidIsValid(key.collation) || key.collation == one->ec_collation))
                table->joined = with_column(table->joined, key.column);
        }
    }
}

// The leading part of an order that columns of this table give, begun with an ascending one: it may be read backwards.
void note_order(const Place &at, List *pathkeys, Table *table) {
    List *columns = NIL;
    bool backwards = false;
    ListCell *cell;
    foreach (cell, pathkeys) {
        auto *wanted = lfirst_node(PathKey, cell);
        bool found = false;
        ListCell *member_cell;
        foreach (member_cell, wanted->pk_eclass->ec_members) {
            auto *member = lfirst_node(EquivalenceMember, member_cell);
            Key key;
            if (wanted->pk_eclass->ec_has_volatile || member->em_is_child ||
                !bms_equal(member->em_relids, at.rel->relids) ||
                !key_of(at, reinterpret_cast<Node *>(member->em_expr), &key) || key.family != wanted->pk_opfamily ||
                (OidIsValid(key.collation) && key.collation != wanted->pk_eclass->ec_collation))
                continue;
            const bool descending = wanted->pk_strategy != BTLessStrategyNumber;
            if (columns == NIL)
                backwards = descending;
            key.column.descending = descending != backwards;
            key.column.nulls_first = wanted->pk_nulls_first != backwards;
            columns = with_column(columns, key.column);
            found = true;
            break;
        }
        if (!found)
            break;
    }
    if (columns != NIL)
        table->orders = lappend(table->orders, columns);
}

bool has_value(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, Param) && reinterpret_cast<Param *>(node)->paramkind == PARAM_EXTERN)
        return true;
    return expression_tree_walker(node, compat::walker(has_value), context);
}

// Whether the predicate of a partial index may hold, depending on values that a normalised statement has not: each part
// of it follows from the statement, or is about columns that are compared with parameters.
bool may_hold(const Place &at, List *predicate) {
    Bitmapset *compared = nullptr;
    ListCell *cell;
    foreach (cell, at.rel->baserestrictinfo) {
        auto *clause = reinterpret_cast<Node *>(lfirst_node(RestrictInfo, cell)->clause);
        if (has_value(clause, nullptr))
            pull_varattnos(clause, at.rti, &compared);
    }
    List *const known = extract_actual_clauses(at.rel->baserestrictinfo, false);
    foreach (cell, predicate) {
        auto *part = static_cast<Node *>(lfirst(cell));
        Bitmapset *columns = nullptr;
        pull_varattnos(part, at.rti, &columns);
        if ((bms_is_empty(columns) || !bms_is_subset(columns, compared)) &&
            !predicate_implied_by(list_make1(part), known, false))
            return false;
    }
    return true;
}

// The indexes that the planner may use here. A column with another operator class or collation than the default is not
// the column that a candidate has.
void note_indexes(const Place &at, Table *table, Statement *found) {
    ListCell *cell;
    foreach (cell, at.rel->indexlist) {
        auto *info = lfirst_node(IndexOptInfo, cell);
        if (!info->hypothetical && info->indpred != NIL && !info->predOK && may_hold(at, info->indpred))
            found->assumed = list_append_unique_oid(found->assumed, info->indexoid);
        if (info->hypothetical || (info->indpred != NIL && !info->predOK) ||
            (info->relam != BTREE_AM_OID && info->relam != HASH_AM_OID))
            continue;
        auto *index = static_cast<Index *>(palloc0(sizeof(Index)));
        index->ordered = info->relam == BTREE_AM_OID;
        ListCell *expression = list_head(info->indexprs);
        for (int i = 0; i < info->nkeycolumns; ++i) {
            Node *node = nullptr;
            Column column = {};
            Oid type;
            Oid collation;
            if (info->indexkeys[i] == 0) {
                node = static_cast<Node *>(lfirst(expression));
                expression = lnext(info->indexprs, expression);
                column.sql = expression_text(at, node);
                type = exprType(node);
                collation = exprCollation(node);
            } else {
                int32 modifier;
                column.sql = pstrdup(
                    quote_identifier(get_attname(at.table, static_cast<AttrNumber>(info->indexkeys[i]), false)));
                get_atttypetypmodcoll(at.table, static_cast<AttrNumber>(info->indexkeys[i]), &type, &modifier,
                                      &collation);
            }
            const Oid usual = GetDefaultOpClass(type, info->relam);
            if (!OidIsValid(usual) || get_opclass_family(usual) != info->opfamily[i] ||
                collation != info->indexcollations[i])
                column.sql = psprintf("%s otherwise", column.sql);
            if (index->ordered) {
                column.descending = info->reverse_sort[i];
                column.nulls_first = info->nulls_first[i];
            }
            auto *copy = static_cast<Column *>(palloc(sizeof(Column)));
            *copy = column;
            index->columns = lappend(index->columns, copy);
        }
        table->indexes = lappend(table->indexes, index);
    }
}

} // namespace

void note(PlannerInfo *root, RelOptInfo *rel, int rti, const RangeTblEntry *entry, Statement *found) {
    if (rel->reloptkind != RELOPT_BASEREL || entry->rtekind != RTE_RELATION)
        return;
    if (entry->relid < FirstNormalObjectId || get_rel_persistence(entry->relid) == RELPERSISTENCE_TEMP ||
        OidIsValid(getExtensionOfObject(RelationRelationId, entry->relid)))
        return;
    if (entry->relkind == RELKIND_PARTITIONED_TABLE || (entry->relkind == RELKIND_RELATION && entry->inh)) {
        found->partitioned = true;
        return;
    }
    if (entry->relkind != RELKIND_RELATION && entry->relkind != RELKIND_MATVIEW)
        return;
    const Place at = {root, rel, rti, entry->relid};
    auto *table = static_cast<Table *>(palloc0(sizeof(Table)));
    table->oid = entry->relid;
    table->rows = rel->tuples;
    ListCell *cell;
    foreach (cell, rel->baserestrictinfo)
        note_clause(at, reinterpret_cast<Node *>(lfirst_node(RestrictInfo, cell)->clause), table, found);
    foreach (cell, rel->joininfo)
        note_clause(at, reinterpret_cast<Node *>(lfirst_node(RestrictInfo, cell)->clause), table, found);
    note_equivalences(at, table);
    List *const orders[] = {root->query_pathkeys, root->sort_pathkeys, root->group_pathkeys, root->distinct_pathkeys};
    for (size_t i = 0; i < lengthof(orders); ++i) {
        bool known = orders[i] == NIL;
        for (size_t j = 0; j < i && !known; ++j)
            known = compare_pathkeys(orders[i], orders[j]) == PATHKEYS_EQUAL;
        if (!known)
            note_order(at, orders[i], table);
    }
    note_indexes(at, table, found);
    found->tables = lappend(found->tables, table);
}

} // namespace wc::pg::asked
