// What sessions do for live mode: wake the worker after a commit, make it leave a database that is wanted whole, and
// let the launcher know what may have changed about which databases want a worker.
#include "refresh/live.hpp"

#include "pg/compat.hpp"
#include "pg/worker.hpp"
#include "refresh/change_log.hpp"
#include "refresh/live_board.hpp"

extern "C" {
#include "access/twophase.h"
#include "catalog/pg_database.h"
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
constinit Oid held = InvalidOid; // the database whose worker this transaction keeps away

// Keeps the worker away from a database until the end of the transaction, if that is for this user to ask.
void hold_away(const char *database) {
    const Oid oid = pg::call([=] {
        const Oid found = get_database_oid(database, true);
        return OidIsValid(found) && pg::compat::owns_database(found, GetUserId()) ? found : InvalidOid;
    });
    if (!OidIsValid(oid) || OidIsValid(held)) // it is on its own in its transaction: these commands refuse a block
        return;
    if (board::hold(oid))
        held = oid;
}

const DefElem *option(List *options, const char *name) {
    ListCell *cell;
    foreach (cell, options) {
        const auto *element = lfirst_node(DefElem, cell);
        if (strcmp(element->defname, name) == 0)
            return element;
    }
    return nullptr;
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
    case T_CreatedbStmt: {
        const DefElem *from = option(reinterpret_cast<CreatedbStmt *>(statement)->options, "template");
        if (from != nullptr && from->arg != nullptr)
            hold_away(pg::call([=] { return defGetString(const_cast<DefElem *>(from)); }));
        effects.survey = true;
        break;
    }
    case T_DropdbStmt:
        hold_away(reinterpret_cast<DropdbStmt *>(statement)->dbname);
        effects.survey = true;
        break;
    case T_RenameStmt:
        if (const auto *rename = reinterpret_cast<RenameStmt *>(statement); rename->renameType == OBJECT_DATABASE)
            hold_away(rename->subname);
        break;
    case T_AlterDatabaseStmt: {
        const auto *alter = reinterpret_cast<AlterDatabaseStmt *>(statement);
        if (option(alter->options, "tablespace") != nullptr)
            hold_away(alter->dbname);
        effects.survey = true; // whether it allows connections, whether it is a template
        break;
    }
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
    if (OidIsValid(held))
        board::release(std::exchange(held, InvalidOid));
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
    pg::register_static_worker({"wc_live_launcher", "whitecross live launcher", "whitecross live launcher"});
}

} // namespace wc::refresh::live
