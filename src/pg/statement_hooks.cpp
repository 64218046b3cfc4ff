// The server's hooks round each statement, chained.
//
// The nesting is kept whether or not somebody follows, and put back to what it was, rather than counted down: an error
// that a procedural language catches may have left it higher.
#include "pg/statement_hooks.hpp"

#include "pg/hooks.hpp"

extern "C" {
#include "executor/executor.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "tcop/utility.h"
}

namespace wc::pg::hooks {

constinit int current_nesting = 0;

namespace {

constinit StatementFollower follower = {};
constinit bool followed = false;
constinit StatementWatcher watcher = nullptr;
constexpr int &level = current_nesting;

post_parse_analyze_hook_type next_analyze = nullptr;
planner_hook_type next_planner = nullptr;
ExecutorStart_hook_type next_start = nullptr;
ExecutorRun_hook_type next_run = nullptr;
ExecutorFinish_hook_type next_finish = nullptr;
ExecutorEnd_hook_type next_end = nullptr;
ProcessUtility_hook_type next_utility = nullptr;

extern "C" void analyze_hook(ParseState *state, Query *query, JumbleState *jumble) {
    if (next_analyze != nullptr)
        next_analyze(state, query, jumble);
    follower.parsed(query, state->p_sourcetext);
}

// Planning evaluates functions whose arguments are constants.
extern "C" PlannedStmt *plan_hook(Query *query, const char *text, int options, ParamListInfo parameters) {
    PlannedStmt *planned = nullptr;
    const int outer = level;
    level = outer + 1;
    PG_TRY();
    {
        planned = next_planner != nullptr ? next_planner(query, text, options, parameters)
                                          : standard_planner(query, text, options, parameters);
    }
    PG_FINALLY();
    { level = outer; }
    PG_END_TRY();
    return planned;
}

// So does the start of a statement, to find the partitions that it can leave out.
extern "C" WC_HOT void start_hook(QueryDesc *query, int flags) {
    const int outer = level;
    const bool runs = (flags & EXEC_FLAG_EXPLAIN_ONLY) == 0;
    if (runs && watcher != nullptr)
        watcher(query);
    if (runs && followed)
        follower.started(query);
    level = outer + 1;
    PG_TRY();
    {
        if (next_start != nullptr)
            next_start(query, flags);
        else
            standard_ExecutorStart(query, flags);
    }
    PG_CATCH();
    {
        level = outer;
        if (runs && followed)
            follower.failed(query, geterrcode());
        PG_RE_THROW();
    }
    PG_END_TRY();
    level = outer;
}

// With whatever parameters the server's version has at the end.
template <typename Hook> struct RunHook;

template <typename... More> struct RunHook<void (*)(QueryDesc *, ScanDirection, uint64, More...)> {
    WC_HOT static void run(QueryDesc *query, ScanDirection direction, uint64 count, More... more) {
        const int outer = level;
        follower.running(query);
        level = outer + 1;
        PG_TRY();
        {
            if (next_run != nullptr)
                next_run(query, direction, count, more...);
            else
                standard_ExecutorRun(query, direction, count, more...);
        }
        PG_CATCH();
        {
            level = outer;
            follower.failed(query, geterrcode());
            PG_RE_THROW();
        }
        PG_END_TRY();
        level = outer;
        follower.ran(query);
    }
};

// What is left to do for a query once its rows have been fetched: triggers, and writing WITH queries that were not read
// to their end.
WC_HOT bool has_work_left(const QueryDesc *query) {
    return (query->estate->es_top_eflags & EXEC_FLAG_SKIP_TRIGGERS) == 0 || query->estate->es_auxmodifytables != NIL;
}

extern "C" WC_HOT void finish_hook(QueryDesc *query) {
    if (!has_work_left(query)) {
        if (next_finish != nullptr)
            next_finish(query);
        else
            standard_ExecutorFinish(query);
        return;
    }
    const int outer = level;
    follower.finishing(query);
    level = outer + 1;
    PG_TRY();
    {
        if (next_finish != nullptr)
            next_finish(query);
        else
            standard_ExecutorFinish(query);
    }
    PG_CATCH();
    {
        level = outer;
        follower.failed(query, geterrcode());
        PG_RE_THROW();
    }
    PG_END_TRY();
    level = outer;
    follower.finished(query);
}

extern "C" WC_HOT void end_hook(QueryDesc *query) {
    follower.ended(query);
    if (next_end != nullptr)
        next_end(query);
    else
        standard_ExecutorEnd(query);
}

void run_utility(PlannedStmt *statement, const char *text, bool read_only_tree, ProcessUtilityContext context,
                 ParamListInfo parameters, QueryEnvironment *environment, DestReceiver *receiver,
                 QueryCompletion *completion) {
    if (next_utility != nullptr)
        next_utility(statement, text, read_only_tree, context, parameters, environment, receiver, completion);
    else
        standard_ProcessUtility(statement, text, read_only_tree, context, parameters, environment, receiver,
                                completion);
}

extern "C" void utility_hook(PlannedStmt *statement, const char *text, bool read_only_tree,
                             ProcessUtilityContext context, ParamListInfo parameters, QueryEnvironment *environment,
                             DestReceiver *receiver, QueryCompletion *completion) {
    const NodeTag kind = nodeTag(statement->utilityStmt);
    if (!followed || kind == T_ExecuteStmt || kind == T_PrepareStmt || kind == T_DeallocateStmt) {
        announce_utility(statement->utilityStmt);
        run_utility(statement, text, read_only_tree, context, parameters, environment, receiver, completion);
        return;
    }
    const int outer = level;
    UtilityStatement told = {statement};
    follower.utility_begins(told);
    level = outer + 1;
    PG_TRY();
    {
        announce_utility(statement->utilityStmt);
        run_utility(statement, text, read_only_tree, context, parameters, environment, receiver, completion);
    }
    PG_CATCH();
    {
        level = outer;
        told.sqlstate = geterrcode();
        told.statement = nullptr;
        follower.utility_ended(told);
        PG_RE_THROW();
    }
    PG_END_TRY();
    level = outer;
    told.rows = completion != nullptr ? completion->nprocessed : 0;
    told.statement = nullptr;
    follower.utility_ended(told);
}

extern "C" void subtransaction_callback(SubXactEvent event, SubTransactionId which, SubTransactionId parent, void *) {
    if (event == SUBXACT_EVENT_COMMIT_SUB || event == SUBXACT_EVENT_ABORT_SUB)
        follower.subtransaction_ended(which, parent, event == SUBXACT_EVENT_ABORT_SUB);
}

} // namespace

void follow_statements(const StatementFollower &subscriber) {
    if (followed)
        throw Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "statements are followed already");
    follower = subscriber;
    followed = true;
}

void watch_statements(StatementWatcher subscriber) {
    if (watcher != nullptr)
        throw Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "statements are watched already");
    watcher = subscriber;
}

void install_statement_hooks() {
    if (followed || utility_is_announced())
        next_utility = std::exchange(ProcessUtility_hook, utility_hook);
    if (followed || watcher != nullptr)
        next_start = std::exchange(ExecutorStart_hook, start_hook);
    if (!followed)
        return;
    next_analyze = std::exchange(post_parse_analyze_hook, analyze_hook);
    next_planner = std::exchange(planner_hook, plan_hook);
    next_run = std::exchange(ExecutorRun_hook, RunHook<ExecutorRun_hook_type>::run);
    next_finish = std::exchange(ExecutorFinish_hook, finish_hook);
    next_end = std::exchange(ExecutorEnd_hook, end_hook);
    call([] { RegisterSubXactCallback(subtransaction_callback, nullptr); });
}

} // namespace wc::pg::hooks
