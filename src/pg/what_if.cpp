// Planning with hypothetical indexes.
//
// hypopg shows them to the planner while an EXPLAIN runs, and to nothing else. So each plan is made within an EXPLAIN
// of an empty SELECT: the server's hook for explaining a query plans ours instead, without parameters, which gives the
// generic plan, and prints nothing. Only the hypothetical indexes that are asked for are left in the planner's lists:
// those that the session has made for itself neither count nor change.
//
// Planning may call functions: those that a statement calls with constants, and those of estimates. So a statement of
// another role is analysed and planned with that role's rights, in a security-restricted context.
#include "pg/what_if.hpp"

#include "pg/asked.hpp"
#include "pg/compat.hpp"

#include <algorithm>
#include <limits>

extern "C" {
#include "commands/explain.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "tcop/utility.h"
}

namespace wc::pg {

namespace {

// ---- Plain server code: call it inside a guard.

// The plan that is being made, for the hooks.
struct Making {
    List *queries;           // rewritten
    const char *text;        //
    const Oid *assumed;      // partial indexes whose predicate is taken to hold
    int assumed_count;       //
    const Oid *visible;      // hypothetical indexes
    int visible_count;       //
    asked::Statement *found; // what is asked of tables; null: not wanted
    double cost;             // the outcome
    set_rel_pathlist_hook_type next_pathlist;
    get_relation_info_hook_type next_information;
};
Making *making = nullptr;

void show_visible_indexes(PlannerInfo *root, Oid relation, bool inherits, RelOptInfo *rel) {
    if (making->next_information != nullptr)
        making->next_information(root, relation, inherits, rel);
    ListCell *cell;
    foreach (cell, rel->indexlist) {
        auto *info = lfirst_node(IndexOptInfo, cell);
        for (int i = 0; i < making->assumed_count; ++i)
            info->predOK = info->predOK || making->assumed[i] == info->indexoid;
        bool visible = !info->hypothetical;
        for (int i = 0; i < making->visible_count && !visible; ++i)
            visible = making->visible[i] == info->indexoid;
        if (!visible)
            rel->indexlist = foreach_delete_current(rel->indexlist, cell);
    }
}

void note_what_is_asked(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *entry) {
    if (making->next_pathlist != nullptr)
        making->next_pathlist(root, rel, rti, entry);
    if (making->found != nullptr)
        asked::note(root, rel, static_cast<int>(rti), entry, making->found);
}

void plan_instead(Query *, int, IntoClause *, ExplainState *, const char *, ParamListInfo, QueryEnvironment *) {
    ListCell *cell;
    foreach (cell, making->queries) {
        auto *query = lfirst_node(Query, cell);
        if (query->commandType == CMD_UTILITY)
            continue;
        PlannedStmt *plan =
            planner(static_cast<Query *>(copyObjectImpl(query)), making->text, CURSOR_OPT_PARALLEL_OK, nullptr);
        compat::check_permissions(plan);
        making->cost += plan->planTree->total_cost;
    }
}

// An EXPLAIN of a SELECT of nothing.
PlannedStmt *explanation() {
    auto *nothing = makeNode(Query);
    nothing->commandType = CMD_SELECT;
    nothing->canSetTag = true;
    nothing->jointree = makeFromExpr(NIL, nullptr);
    nothing->stmt_location = 8;
    nothing->stmt_len = 6;
    auto *explain = makeNode(ExplainStmt);
    explain->query = reinterpret_cast<Node *>(nothing);
    auto *statement = makeNode(PlannedStmt);
    statement->commandType = CMD_UTILITY;
    statement->canSetTag = true;
    statement->utilityStmt = reinterpret_cast<Node *>(explain);
    return statement;
}

void make_plan(Making *plan) {
    const ExplainOneQuery_hook_type explain = ExplainOneQuery_hook;
    Making *const outer = making;
    plan->next_pathlist = set_rel_pathlist_hook;
    plan->next_information = get_relation_info_hook;
    plan->cost = 0;
    PG_TRY();
    {
        making = plan;
        ExplainOneQuery_hook = plan_instead;
        set_rel_pathlist_hook = note_what_is_asked;
        get_relation_info_hook = show_visible_indexes;
        ProcessUtility(explanation(), "EXPLAIN SELECT", false, PROCESS_UTILITY_QUERY, nullptr, nullptr, None_Receiver,
                       nullptr);
    }
    PG_FINALLY();
    {
        ExplainOneQuery_hook = explain;
        set_rel_pathlist_hook = plan->next_pathlist;
        get_relation_info_hook = plan->next_information;
        making = outer;
    }
    PG_END_TRY();
}

// ---- C++.

std::vector<core::KeyColumn> columns_of(const List *list) {
    std::vector<core::KeyColumn> columns;
    for (int i = 0; i < list_length(list); ++i) {
        const auto *column = static_cast<const asked::Column *>(list_nth(list, i));
        columns.push_back({column->sql, column->descending, column->nulls_first, column->distinct});
    }
    return columns;
}

void take_over(const asked::Statement &found, Outlook &outlook) {
    outlook.partitioned = found.partitioned;
    outlook.pattern = found.pattern;
    for (int i = 0; i < list_length(found.tables); ++i) {
        const auto *table = static_cast<const asked::Table *>(list_nth(found.tables, i));
        core::TableUse use;
        use.table = table->oid;
        use.equal = columns_of(table->equal);
        use.joined = columns_of(table->joined);
        use.range = columns_of(table->range);
        for (int j = 0; j < list_length(table->orders); ++j)
            use.orders.push_back(columns_of(static_cast<List *>(list_nth(table->orders, j))));
        for (int j = 0; j < list_length(table->indexes); ++j) {
            const auto *index = static_cast<const asked::Index *>(list_nth(table->indexes, j));
            use.indexes.push_back({columns_of(index->columns), index->ordered});
        }
        outlook.rows[use.table] = std::max(outlook.rows[use.table], table->rows);
        outlook.uses.push_back(std::move(use));
    }
}

} // namespace

Outlook outlook(Unbound &statement) {
    Outlook out;
    std::optional<Error> error = make_analysable(statement);
    if (!error) {
        const char *const text = statement.text.c_str();
        const Oid *const types = statement.types.data();
        const int count = static_cast<int>(statement.types.size());
        error = aside(statement, [&] {
            List *const queries = call([=] { return analyse_unbound(text, types, count); });
            asked::Statement found = {};
            const auto plan = [&] {
                asked::Statement *const place = &found;
                const Oid *const assumed = statement.assumed.data();
                const int assumed_count = static_cast<int>(statement.assumed.size());
                found = {};
                out.cost = call([=] {
                    Making making_one = {};
                    making_one.queries = queries;
                    making_one.text = text;
                    making_one.assumed = assumed;
                    making_one.assumed_count = assumed_count;
                    making_one.found = place;
                    make_plan(&making_one);
                    return making_one.cost;
                });
            };
            plan();
            for (int i = 0; i < list_length(found.assumed); ++i)
                statement.assumed.push_back(list_nth_oid(found.assumed, i));
            if (!statement.assumed.empty())
                plan();
            take_over(found, out);
        });
    }
    if (error)
        out.why = why_unplanned(*error);
    return out;
}

std::vector<double> costs_with(const Unbound &statement, const std::vector<std::vector<Oid>> &sets) {
    std::vector<double> costs(sets.size(), std::numeric_limits<double>::infinity());
    const char *const text = statement.text.c_str();
    const Oid *const types = statement.types.data();
    const int count = static_cast<int>(statement.types.size());
    const Oid *const assumed = statement.assumed.data();
    const int assumed_count = static_cast<int>(statement.assumed.size());
    // A table may have changed or gone since outlook(): then the costs left stay infinite, and nothing is gained.
    (void)aside(statement, [&] {
        List *const queries = call([=] { return analyse_unbound(text, types, count); });
        for (size_t i = 0; i < sets.size(); ++i) {
            check_for_interrupts();
            const Oid *const visible = sets[i].data();
            const int number = static_cast<int>(sets[i].size());
            costs[i] = call([=] {
                MemoryContext const each =
                    AllocSetContextCreate(CurrentMemoryContext, "whitecross plan", ALLOCSET_DEFAULT_SIZES);
                MemoryContext const outer = MemoryContextSwitchTo(each);
                Making plan = {};
                plan.queries = queries;
                plan.text = text;
                plan.assumed = assumed;
                plan.assumed_count = assumed_count;
                plan.visible = visible;
                plan.visible_count = number;
                make_plan(&plan);
                MemoryContextSwitchTo(outer);
                MemoryContextDelete(each);
                return plan.cost;
            });
        }
    });
    return costs;
}

} // namespace wc::pg
