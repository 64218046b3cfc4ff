// Whether the rows of a query can be cached. What is not known to be harmless is refused: an expression of a kind that
// is not listed here, a function that isn't IMMUTABLE or on the list of stable_functions.cpp.
//
// All of it is plain server code.
#include "cache/cacheable.hpp"

#include "cache/clock_words.hpp"
#include "cache/judged.hpp"
#include "cache/printed.hpp"
#include "cache/tables_read.hpp"
#include "pg/compat.hpp"

extern "C" {
#include "access/sysattr.h"
#include "nodes/nodeFuncs.h"
}

namespace wc::cache {

namespace {

// A function in FROM, whose row may be printed as a whole.
void note_table_function(Walk *walk, const RangeTblFunction *function) {
    if (function->funccoltypes != NIL) {
        note_parts(walk, function->funccoltypes);
        return;
    }
    Oid type;
    TupleDesc row = nullptr;
    switch (get_expr_result_type(function->funcexpr, &type, &row)) {
    case TYPEFUNC_SCALAR:
        note_part(walk, type);
        break;
    case TYPEFUNC_COMPOSITE:
    case TYPEFUNC_COMPOSITE_DOMAIN:
        for (int i = 0; i < row->natts; ++i)
            if (!TupleDescAttr(row, i)->attisdropped)
                note_part(walk, TupleDescAttr(row, i)->atttypid);
        break;
    default:
        walk->unknown_parts = true;
    }
}

void note_entry(Walk *walk, const RangeTblEntry *entry) {
    ListCell *cell;
    Refusal why;
    switch (entry->rtekind) {
    case RTE_RELATION:
        note_table(walk, entry->relid);
        if (is_refused(entry, &why))
            refuse(walk, why);
        break;
    case RTE_FUNCTION:
        foreach (cell, entry->functions)
            note_table_function(walk, lfirst_node(RangeTblFunction, cell));
        break;
    case RTE_TABLEFUNC:
    case RTE_VALUES:
    case RTE_CTE:
        note_parts(walk, entry->coltypes);
        break;
    case RTE_SUBQUERY:
        if (OidIsValid(entry->relid)) // of a view, from PostgreSQL 16 on
            note_table(walk, entry->relid);
        break;
    case RTE_JOIN:
    case RTE_RESULT:
        break;
    default:
        if (!pg::compat::is_group_entry(entry))
            refuse(walk, Refusal::OtherQuery);
    }
}

void note_query(Walk *walk, Query *query) {
    if (query->commandType == CMD_UTILITY)
        refuse(walk, Refusal::Utility);
    else if (query->commandType != CMD_SELECT || query->hasModifyingCTE)
        refuse(walk, Refusal::ModifiesData);
    if (query->rowMarks != NIL || query->hasForUpdate)
        refuse(walk, Refusal::RowMarks);
    if (query->hasRowSecurity)
        refuse(walk, Refusal::RowSecurity);
    pg::compat::note_checked_tables(query, &walk->verdict.checked);
}

void note_constant(Walk *walk, const Const *constant) {
    // A time with a zone has the offset of the day on which it was read.
    if (constant->consttype == TIMETZOID || constant->consttype == TIMETZARRAYOID ||
        (walk->words_for_now && !is_timeless(constant->consttype)))
        refuse(walk, Refusal::Clock);
}

// XMLTABLE reads each column by its type's input function.
void note_columns_read(Walk *walk, const TableFunc *function) {
    ListCell *cell;
    foreach (cell, function->coltypes) {
        Oid input;
        Oid argument;
        getTypeInputInfo(lfirst_oid(cell), &input, &argument);
        note_call(walk, input, NIL);
    }
}

void note_conversion(Walk *walk, const CoerceViaIO *conversion) {
    Oid function;
    Oid argument;
    bool varlena;
    const Oid from = exprType(reinterpret_cast<Node *>(conversion->arg));
    note_printed(walk, from);
    getTypeOutputInfo(from, &function, &varlena);
    note_call(walk, function, NIL);
    getTypeInputInfo(conversion->resulttype, &function, &argument);
    note_call(walk, function, NIL);
}

void note_xml(Walk *walk, const XmlExpr *expression) {
    ListCell *cell;
    foreach (cell, expression->named_args)
        note_printed(walk, exprType(static_cast<Node *>(lfirst(cell))));
    foreach (cell, expression->args)
        note_printed(walk, exprType(static_cast<Node *>(lfirst(cell))));
}

// What one node is, without what is in it. The kinds that are listed and do nothing are those that follow from what is
// in them.
void note_node(Walk *walk, Node *node) {
    switch (nodeTag(node)) {
    case T_Query:
        note_query(walk, reinterpret_cast<Query *>(node));
        break;
    case T_RangeTblEntry:
        note_entry(walk, reinterpret_cast<RangeTblEntry *>(node));
        break;
    case T_Var: {
        // Others change without anybody writing a row: FOR UPDATE sets xmax.
        const auto *variable = reinterpret_cast<Var *>(node);
        if (variable->varattno < 0 && variable->varattno != TableOidAttributeNumber)
            refuse(walk, Refusal::OtherQuery);
        note_part(walk, variable->vartype);
        if (const Oid relation = get_typ_typrelid(variable->vartype); OidIsValid(relation))
            note_table(walk, relation);
        break;
    }
    case T_Const:
        note_constant(walk, reinterpret_cast<Const *>(node));
        break;
    case T_Param: {
        const auto kind = reinterpret_cast<Param *>(node)->paramkind;
        if (kind != PARAM_EXTERN && kind != PARAM_SUBLINK)
            refuse(walk, Refusal::OtherQuery);
        break;
    }
    case T_TargetEntry:
        note_part(walk, exprType(reinterpret_cast<Node *>(reinterpret_cast<TargetEntry *>(node)->expr)));
        break;
    case T_RowExpr: {
        ListCell *cell;
        foreach (cell, reinterpret_cast<RowExpr *>(node)->args)
            note_part(walk, exprType(static_cast<Node *>(lfirst(cell))));
        break;
    }
    case T_FuncExpr: {
        const auto *call = reinterpret_cast<FuncExpr *>(node);
        note_function(walk, call->funcid, call->args);
        if (call->funcresulttype == RECORDOID && !call->funcretset)
            walk->unknown_parts = true;
        break;
    }
    case T_OpExpr:
    case T_DistinctExpr:
    case T_NullIfExpr: {
        auto *operation = reinterpret_cast<OpExpr *>(node);
        set_opfuncid(operation);
        note_function(walk, operation->opfuncid, operation->args);
        break;
    }
    case T_ScalarArrayOpExpr: {
        auto *operation = reinterpret_cast<ScalarArrayOpExpr *>(node);
        set_sa_opfuncid(operation);
        note_function(walk, operation->opfuncid, operation->args);
        break;
    }
    case T_RowCompareExpr: {
        ListCell *cell;
        foreach (cell, reinterpret_cast<RowCompareExpr *>(node)->opnos)
            note_call(walk, get_opcode(lfirst_oid(cell)), NIL);
        break;
    }
    case T_Aggref: {
        const auto *aggregate = reinterpret_cast<Aggref *>(node);
        note_aggregate(walk, aggregate->aggfnoid, list_concat_copy(aggregate->aggdirectargs, aggregate->args));
        break;
    }
    case T_WindowFunc: {
        const auto *function = reinterpret_cast<WindowFunc *>(node);
        note_aggregate(walk, function->winfnoid, function->args);
        break;
    }
    case T_WindowClause: {
        const auto *window = reinterpret_cast<WindowClause *>(node);
        if (OidIsValid(window->startInRangeFunc))
            note_call(walk, window->startInRangeFunc, NIL);
        if (OidIsValid(window->endInRangeFunc))
            note_call(walk, window->endInRangeFunc, NIL);
        break;
    }
    case T_CoerceViaIO:
        note_conversion(walk, reinterpret_cast<CoerceViaIO *>(node));
        break;
    case T_CoerceToDomain:
        refuse(walk, Refusal::DomainCheck);
        break;
    case T_SQLValueFunction:
        refuse(walk, reinterpret_cast<SQLValueFunction *>(node)->op <= SVFOP_LOCALTIMESTAMP_N ? Refusal::Clock
                                                                                              : Refusal::CurrentUser);
        break;
    case T_NextValueExpr:
        refuse(walk, Refusal::VolatileFunction);
        break;
    case T_XmlExpr:
        note_xml(walk, reinterpret_cast<XmlExpr *>(node));
        break;
    case T_TableFunc:
        note_columns_read(walk, reinterpret_cast<TableFunc *>(node));
        break;
    case T_List:
    case T_FromExpr:
    case T_JoinExpr:
    case T_RangeTblRef:
    case T_RangeTblFunction:
    case T_SetOperationStmt:
    case T_CommonTableExpr:
    case T_CTESearchClause:
    case T_CTECycleClause:
    case T_SortGroupClause:
    case T_GroupingSet:
    case T_GroupingFunc:
    case T_SubLink:
    case T_SubscriptingRef:
    case T_NamedArgExpr:
    case T_BoolExpr:
    case T_BooleanTest:
    case T_NullTest:
    case T_FieldSelect:
    case T_FieldStore:
    case T_RelabelType:
    case T_ConvertRowtypeExpr:
    case T_ArrayCoerceExpr:
    case T_CollateExpr:
    case T_CaseExpr:
    case T_CaseWhen:
    case T_CaseTestExpr:
    case T_ArrayExpr:
    case T_CoalesceExpr:
    case T_MinMaxExpr:
        break;
    default:
        refuse(walk, Refusal::OtherQuery);
    }
}

bool walk_node(Node *node, void *context) {
    if (node == nullptr)
        return false;
    note_node(static_cast<Walk *>(context), node);
    if (IsA(node, Query))
        return query_tree_walker(reinterpret_cast<Query *>(node), pg::compat::walker(walk_node), context,
                                 QTW_EXAMINE_RTES_BEFORE);
    if (IsA(node, RangeTblEntry))
        return false; // what is in it is walked by itself
    return expression_tree_walker(node, pg::compat::walker(walk_node), context);
}

} // namespace

Verdict verdict_of(List *queries, TupleDesc row, RawStmt *statement) {
    Walk walk = {};
    walk.words_for_now = tells_time_by_word(statement);
    walk.verdict.prints_alike = true;
    if (list_length(queries) != 1)
        refuse(&walk, Refusal::ModifiesData);
    ListCell *cell;
    foreach (cell, queries)
        (void)walk_node(static_cast<Node *>(lfirst(cell)), &walk);
    judge_records(&walk);
    if (row == nullptr)
        refuse(&walk, Refusal::NoRows);
    for (int i = 0; row != nullptr && i < row->natts; ++i) {
        const Oid type = TupleDescAttr(row, i)->atttypid;
        if (!can_be_shared(type, &walk.verdict.tables))
            refuse(&walk, Refusal::RecordType);
        else if (!prints_alike(type, &walk.verdict.tables))
            walk.verdict.prints_alike = false;
    }
    if (list_length(walk.verdict.tables) > most_tables)
        refuse(&walk, Refusal::TooManyTables);
    return walk.verdict;
}

} // namespace wc::cache
