// Statements seen while a query runs whose rows are to be kept.
#include "cache/watch.hpp"

#include "pg/hooks.hpp"
#include "pg/statement_hooks.hpp"

#include <algorithm>

extern "C" {
#include "utils/syscache.h"
}

namespace wc::cache {

Watch *Watch::current_ = nullptr;

namespace {

// Whether a plan calls functions that somebody has made. Those of the server's own are what they say to be.
bool calls_functions_of_users(const PlannedStmt *plan) noexcept {
    const ListCell *cell;
    foreach (cell, plan->invalItems)
        if (static_cast<const PlanInvalItem *>(lfirst(cell))->cacheId == PROCOID)
            return true;
    return false;
}

} // namespace

Watch::Watch(const DestReceiver *rows) noexcept : outer_(std::exchange(current_, this)), rows_(rows) {}

Watch::~Watch() {
    current_ = outer_;
}

void Watch::unseen() noexcept {
    if (current_ != nullptr)
        current_->unseen_ = true;
}

void Watch::add(Oid table) noexcept {
    // A function that is called for each row runs the same statements again and again.
    if (count_ > 0 && std::find(tables_.begin(), tables_.begin() + count_, table) != tables_.begin() + count_)
        return;
    if (count_ == most_tables)
        unseen_ = true;
    else
        tables_[count_++] = table;
}

void Watch::started(QueryDesc *query) noexcept {
    Watch *const watch = current_;
    if (watch == nullptr || watch->unseen_)
        return;
    PlannedStmt *const plan = query->plannedstmt;
    if (plan->commandType != CMD_SELECT || plan->hasModifyingCTE || plan->rowMarks != NIL || plan->dependsOnRole) {
        watch->unseen_ = true;
        return;
    }
    if (plan->parallelModeNeeded && calls_functions_of_users(plan)) {
        // What they run in another process would not be seen. The query's own plan is made for this one time: it runs
        // without helpers. Others are kept by whoever has made them.
        if (query->dest == watch->rows_)
            plan->parallelModeNeeded = false;
        else
            watch->unseen_ = true;
    }
    const ListCell *cell;
    foreach (cell, plan->relationOids)
        watch->add(lfirst_oid(cell));
}

std::vector<Oid> Watch::tables() const {
    std::vector<Oid> all(tables_.begin(), tables_.begin() + count_);
    std::sort(all.begin(), all.end());
    return all;
}

void Watch::init() {
    if (!pg::hooks::server_is_starting())
        return;
    pg::hooks::watch_statements(started);
    pg::hooks::before_utility([](Node *) { unseen(); });
}

} // namespace wc::cache
