// The shape of a plan, hashed: node types, join types, strategies, relations and indexes, by a walk over the tree.
//
// Partitions: a scan counts as one of the topmost table, without its index, and an Append counts as the set of the
// different things that it does to its members. So it is the same whether one partition is left of it or all are, and
// the same as without any Append, which is what the planner makes of one that has a single member.
#include "observe/plan_hash.hpp"

#include "observe/mix.hpp"

#include <algorithm>
#include <array>

extern "C" {
#include "common/hashfn.h"
#include "nodes/pathnodes.h"
#include "parser/parsetree.h"
}

namespace wc::observe {

namespace {

// A plan that is deeper than this is told from others by its upper part.
constexpr int deepest = 1000;

struct Walk {
    const PlannedStmt *statement;
    int next_member = 0; // where the last member of a partitioned table was found: they come in the same order
    int depth = 0;
};

uint64 mixed(uint64 hash, uint64 with) {
    return hash_combine64(hash, mix(with));
}

struct Scanned {
    Oid relation;
    bool member; // of a partitioned table or of one with children
};

// The list of members is as long as there are partitions, so each search goes on where the last one ended.
const AppendRelInfo *find_member(Walk &walk, Index relation) {
    const List *members = walk.statement->appendRelations;
    const int count = list_length(members);
    for (int i = 0; i < count; ++i) {
        const int place = (walk.next_member + i) % count;
        const auto *member = static_cast<const AppendRelInfo *>(list_nth(members, place));
        if (member->child_relid == relation) {
            walk.next_member = place;
            return member;
        }
    }
    return nullptr;
}

Scanned scanned(Walk &walk, Index relation) {
    const List *range_table = walk.statement->rtable;
    Scanned found = {rt_fetch(relation, range_table)->relid, false};
    if (walk.statement->appendRelations == NIL)
        return found;
    while (const AppendRelInfo *member = find_member(walk, relation)) {
        const RangeTblEntry *parent = rt_fetch(member->parent_relid, range_table);
        if (parent->rtekind != RTE_RELATION) // a member of a UNION ALL
            break;
        relation = member->parent_relid;
        found = {parent->relid, true};
    }
    return found;
}

uint64 hash_of(Walk &walk, const Plan *plan);

// The set of what is done to the members.
uint64 hash_of_members(Walk &walk, const List *plans) {
    std::array<uint64, 16> different = {};
    size_t count = 0;
    uint64 all = 0;
    ListCell *cell;
    foreach (cell, plans) {
        const uint64 hash = hash_of(walk, static_cast<const Plan *>(lfirst(cell)));
        const auto end = different.begin() + count;
        if (std::find(different.begin(), end, hash) != end)
            continue;
        if (count < different.size())
            different[count++] = hash;
        all = count == 1 ? hash : all + mix(hash); // in any order
    }
    return all;
}

uint64 hash_of_list(Walk &walk, uint64 hash, const List *plans) {
    ListCell *cell;
    foreach (cell, plans)
        hash = mixed(hash, hash_of(walk, static_cast<const Plan *>(lfirst(cell))));
    return hash;
}

uint64 with_scan(Walk &walk, uint64 hash, const Scan *scan, Oid index) {
    if (scan->scanrelid == 0) // a foreign or custom scan of a join
        return hash;
    const Scanned what = scanned(walk, scan->scanrelid);
    hash = mixed(hash, what.relation);
    return what.member ? hash : mixed(hash, index);
}

// What a node of its type does beyond that, and what it has below it besides its two ordinary inputs.
uint64 with_details(Walk &walk, uint64 hash, const Plan *plan) {
    switch (nodeTag(plan)) {
    case T_SeqScan:
    case T_SampleScan:
    case T_BitmapHeapScan:
    case T_TidScan:
    case T_TidRangeScan:
    case T_ForeignScan:
        return with_scan(walk, hash, reinterpret_cast<const Scan *>(plan), InvalidOid);
    case T_IndexScan:
        return with_scan(walk, hash, reinterpret_cast<const Scan *>(plan),
                         reinterpret_cast<const IndexScan *>(plan)->indexid);
    case T_IndexOnlyScan:
        return with_scan(walk, hash, reinterpret_cast<const Scan *>(plan),
                         reinterpret_cast<const IndexOnlyScan *>(plan)->indexid);
    case T_BitmapIndexScan:
        return with_scan(walk, hash, reinterpret_cast<const Scan *>(plan),
                         reinterpret_cast<const BitmapIndexScan *>(plan)->indexid);
    case T_SubqueryScan:
        return mixed(hash, hash_of(walk, reinterpret_cast<const SubqueryScan *>(plan)->subplan));
    case T_CustomScan:
        hash = with_scan(walk, hash, reinterpret_cast<const Scan *>(plan), InvalidOid);
        return hash_of_list(walk, hash, reinterpret_cast<const CustomScan *>(plan)->custom_plans);
    case T_BitmapAnd:
        return hash_of_list(walk, hash, reinterpret_cast<const BitmapAnd *>(plan)->bitmapplans);
    case T_BitmapOr:
        return hash_of_list(walk, hash, reinterpret_cast<const BitmapOr *>(plan)->bitmapplans);
    case T_NestLoop:
    case T_MergeJoin:
    case T_HashJoin:
        return mixed(hash, reinterpret_cast<const Join *>(plan)->jointype);
    case T_Agg:
        return mixed(hash, reinterpret_cast<const Agg *>(plan)->aggstrategy * 16 +
                               reinterpret_cast<const Agg *>(plan)->aggsplit);
    case T_SetOp:
        return mixed(hash, reinterpret_cast<const SetOp *>(plan)->strategy);
    case T_ModifyTable: {
        const auto *modify = reinterpret_cast<const ModifyTable *>(plan);
        hash = mixed(hash, modify->operation);
        const Index target = modify->rootRelation != 0 ? modify->rootRelation
                                                       : static_cast<Index>(linitial_int(modify->resultRelations));
        return mixed(hash, scanned(walk, target).relation);
    }
    default:
        return hash;
    }
}

uint64 hash_of(Walk &walk, const Plan *plan) {
    if (plan == nullptr || walk.depth >= deepest)
        return 1;
    if (IsA(plan, Append))
        return hash_of_members(walk, reinterpret_cast<const Append *>(plan)->appendplans);
    if (IsA(plan, MergeAppend))
        return hash_of_members(walk, reinterpret_cast<const MergeAppend *>(plan)->mergeplans);
    walk.depth++;
    uint64 hash = with_details(walk, mix(nodeTag(plan)), plan);
    if (plan->lefttree != nullptr)
        hash = mixed(hash, hash_of(walk, plan->lefttree));
    if (plan->righttree != nullptr)
        hash = mixed(hash, hash_of(walk, plan->righttree) + 1);
    walk.depth--;
    return hash;
}

uint64 walked(const PlannedStmt *statement) {
    Walk walk = {statement};
    uint64 hash = hash_of(walk, statement->planTree);
    ListCell *cell;
    foreach (cell, statement->subplans) // null where one is not used any more
        if (lfirst(cell) != nullptr)
            hash = mixed(hash, hash_of(walk, static_cast<const Plan *>(lfirst(cell))));
    return hash != 0 ? hash : 1;
}

// What tells a plan from another one that has come to stand in its place in memory: estimates that are all the same, to
// the last bit, for two plans of one statement that differ.
struct Likeness {
    const PlannedStmt *statement;
    const Plan *plan;
    uint64 query_id;
    Cost startup_cost;
    Cost total_cost;
    Cardinality rows;
};

} // namespace

WC_HOT uint64 plan_hash(const PlannedStmt *statement) noexcept {
    static Likeness last = {};
    static uint64 last_hash = 0;
    const Plan *plan = statement->planTree;
    if (last.statement != statement || last.plan != plan || last.query_id != statement->queryId ||
        last.total_cost != plan->total_cost || last.startup_cost != plan->startup_cost ||
        last.rows != plan->plan_rows || statement->queryId == 0) {
        last_hash = walked(statement);
        last = {statement, plan, statement->queryId, plan->startup_cost, plan->total_cost, plan->plan_rows};
    }
    return last_hash;
}

} // namespace wc::observe
