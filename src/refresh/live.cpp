// What sessions do for live mode: wake the worker after a commit, make it leave a database that is claimed whole, and
// let the launcher know what may have changed about which databases want a worker.
#include "refresh/live.hpp"

#include "pg/claims.hpp"
#include "pg/worker.hpp"
#include "refresh/change_log.hpp"
#include "refresh/live_board.hpp"

extern "C" {
#include "access/twophase.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "replication/logicalworker.h"
}

namespace wc::refresh::live {

namespace {

// What this transaction is to do once it has committed. Plain memory: nothing may fail then.
struct Effects {
    bool noted;
    bool doubt; // something was done that the change log doesn't tell: triggers, partitions, the views themselves
    bool survey;
    bool restart;
    Oid restarted; // InvalidOid: every database
    bool try_again;
};
constinit Effects effects = {};

// Of the claims that there are, only one on the whole database concerns the worker: it sees for itself when the
// extension goes or changes.
bool give_way(Oid database, pg::claims::Claim claim) {
    return claim == pg::claims::Claim::Database && board::hold(database);
}

// Whether a relation is there and is no temporary one. Views are made of others.
bool is_lasting(const RangeVar *relation) {
    return pg::call([=] {
        const Oid relid = RangeVarGetRelid(relation, NoLock, true);
        return OidIsValid(relid) && get_rel_persistence(relid) != RELPERSISTENCE_TEMP;
    });
}

bool any_is_lasting(List *relations) {
    ListCell *cell;
    foreach (cell, relations)
        if (is_lasting(lfirst_node(RangeVar, cell)))
            return true;
    return false;
}

// Whether a statement does what the change log doesn't tell: it may switch triggers off and on, or give a table
// partitions and children, or take them away, or fill a view by hand.
bool raises_doubt(Node *statement) {
    switch (nodeTag(statement)) {
    case T_CreateStmt: {
        const auto *create = reinterpret_cast<CreateStmt *>(statement);
        return create->inhRelations != NIL && create->relation->relpersistence != RELPERSISTENCE_TEMP;
    }
    case T_AlterTableStmt:
        return is_lasting(reinterpret_cast<AlterTableStmt *>(statement)->relation);
    case T_CreateTrigStmt:
        return is_lasting(reinterpret_cast<CreateTrigStmt *>(statement)->relation);
    case T_TruncateStmt: // of a partition, which has no trigger for it
        return any_is_lasting(reinterpret_cast<TruncateStmt *>(statement)->relations);
    case T_RefreshMatViewStmt:
        return true;
    case T_DropStmt: {
        const auto *drop = reinterpret_cast<DropStmt *>(statement);
        if (drop->removeType == OBJECT_EXTENSION || drop->removeType == OBJECT_TRIGGER)
            return true;
        if (drop->removeType != OBJECT_TABLE && drop->removeType != OBJECT_MATVIEW)
            return false;
        ListCell *cell;
        foreach (cell, drop->objects) {
            List *const name = lfirst_node(List, cell);
            if (is_lasting(pg::call([=] { return makeRangeVarFromNameList(name); })))
                return true;
        }
        return false;
    }
    default:
        return false;
    }
}

// Settings of a database (null: of all) are about to change.
void settings_change(const char *database) {
    const Oid oid = database == nullptr ? InvalidOid : pg::call([=] { return get_database_oid(database, true); });
    if (database != nullptr && !OidIsValid(oid))
        return;
    effects.restarted = effects.restart && effects.restarted != oid ? InvalidOid : oid;
    effects.restart = true;
    effects.survey = true;
}

void before(Node *statement) {
    if (!board::available() || board::is_worker()) // the worker looks after what it does itself
        return;
    if (raises_doubt(statement))
        effects.noted = effects.doubt = true;
    switch (nodeTag(statement)) {
    case T_TransactionStmt:
        // What the prepared transaction had noted is not known here.
        if (reinterpret_cast<TransactionStmt *>(statement)->kind == TRANS_STMT_COMMIT_PREPARED)
            effects.noted = effects.survey = true;
        break;
    case T_AlterDatabaseSetStmt:
        settings_change(reinterpret_cast<AlterDatabaseSetStmt *>(statement)->dbname);
        break;
    case T_AlterRoleSetStmt:
        if (const auto *alter = reinterpret_cast<AlterRoleSetStmt *>(statement); alter->role == nullptr)
            settings_change(alter->database);
        break;
    case T_CreatedbStmt:
    case T_DropdbStmt:
    case T_AlterDatabaseStmt: // whether it allows connections, whether it is a template
        effects.survey = true;
        break;
    case T_CreateExtensionStmt:
    case T_AlterExtensionStmt: {
        const char *extension = IsA(statement, CreateExtensionStmt)
                                    ? reinterpret_cast<CreateExtensionStmt *>(statement)->extname
                                    : reinterpret_cast<AlterExtensionStmt *>(statement)->extname;
        if (strcmp(extension, "whitecross") == 0)
            effects.noted = effects.try_again = true;
        break;
    }
    default:
        break;
    }
}

// An apply worker commits prepared transactions of the publisher without a statement, and doesn't say which they are.
bool may_commit_prepared() {
    return max_prepared_xacts > 0 && IsLogicalWorker();
}

WC_HOT void at_end(XactEvent event) {
    if (event == XACT_EVENT_COMMIT) {
        if (effects.noted || may_commit_prepared())
            board::wake(MyDatabaseId, GetCurrentTransactionStopTimestamp(), effects.doubt);
        if (effects.restart)
            board::restart(effects.restarted);
        if (effects.try_again)
            board::try_again(MyDatabaseId);
        if (effects.survey)
            board::survey();
    } else if (event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) {
        return;
    }
    effects = {};
}

} // namespace

void noted() noexcept {
    effects.noted = true;
}

void init() {
    if (!pg::hooks::server_is_starting() || IsBinaryUpgrade)
        return;
    on_change_noted(noted);
    pg::hooks::shared_memory(board::block);
    pg::hooks::before_utility(before);
    pg::hooks::at_transaction_end(at_end);
    pg::claims::subscribe({give_way, board::release});
    pg::register_static_worker({"wc_live_launcher", "whitecross live launcher", "whitecross live launcher"});
}

} // namespace wc::refresh::live
