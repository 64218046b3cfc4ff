// Commands that need a database for themselves: which they are, and from when to when.
#include "pg/claims.hpp"

#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "pg/membership.hpp"

#include <array>

extern "C" {
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "utils/wait_event.h"
}

namespace wc::pg::claims {

namespace {

struct Subscribed {
    Subscriber subscriber;
    Oid away; // the database that it has given way in for this session; InvalidOid: none
};

constinit std::array<Subscribed, 4> subscribers = {};
constinit size_t count = 0;

// How long a command waits for a process to go. It is one cancelled query away, and the server's own check waits too.
constexpr int64 patience_ms = 10000;

// After which it is asked again.
constexpr long grace_ms = 1000;

void give_way(Oid database, Claim claim) {
    for (size_t i = 0; i < count; ++i) {
        Subscribed &each = subscribers[i];
        // A transaction claims one database: commands that claim another one refuse a transaction block.
        if (!OidIsValid(each.away) && each.subscriber.give_way(database, claim))
            each.away = database;
    }
}

// Nobody gives way to one who may not run the command.
void claim_database(const char *name) {
    const Oid database = call([=] {
        const Oid found = get_database_oid(name, true);
        return OidIsValid(found) && compat::owns_database(found, GetUserId()) ? found : InvalidOid;
    });
    if (OidIsValid(database))
        give_way(database, Claim::Database);
}

void claim_extension() {
    const bool may = call([] {
        const Oid extension = get_extension_oid("whitecross", true);
        return OidIsValid(extension) && compat::owns_extension(extension, GetUserId());
    });
    if (may)
        give_way(MyDatabaseId, Claim::Extension);
}

DefElem *option(List *options, const char *name) {
    ListCell *cell;
    foreach (cell, options) {
        auto *element = lfirst_node(DefElem, cell);
        if (strcmp(element->defname, name) == 0)
            return element;
    }
    return nullptr;
}

bool drops_extension(const DropStmt *drop) {
    if (drop->removeType != OBJECT_EXTENSION)
        return false;
    ListCell *cell;
    foreach (cell, drop->objects)
        if (strcmp(strVal(lfirst(cell)), "whitecross") == 0)
            return true;
    return false;
}

void before(Node *statement) {
    switch (nodeTag(statement)) {
    case T_CreatedbStmt: {
        // Without one it is template1, which none of ours goes into.
        DefElem *from = option(reinterpret_cast<CreatedbStmt *>(statement)->options, "template");
        if (from != nullptr && from->arg != nullptr)
            claim_database(call([=] { return defGetString(from); }));
        break;
    }
    case T_DropdbStmt:
        claim_database(reinterpret_cast<DropdbStmt *>(statement)->dbname);
        break;
    case T_RenameStmt:
        if (const auto *rename = reinterpret_cast<RenameStmt *>(statement); rename->renameType == OBJECT_DATABASE)
            claim_database(rename->subname);
        break;
    case T_AlterDatabaseStmt:
        if (const auto *alter = reinterpret_cast<AlterDatabaseStmt *>(statement);
            option(alter->options, "tablespace") != nullptr)
            claim_database(alter->dbname);
        break;
    case T_DropStmt:
        if (drops_extension(reinterpret_cast<DropStmt *>(statement)))
            claim_extension();
        break;
    case T_AlterExtensionStmt:
        if (strcmp(reinterpret_cast<AlterExtensionStmt *>(statement)->extname, "whitecross") == 0)
            claim_extension();
        break;
    default:
        break;
    }
}

WC_HOT void at_end(XactEvent) {
    for (size_t i = 0; i < count; ++i)
        if (OidIsValid(subscribers[i].away))
            subscribers[i].subscriber.free_again(std::exchange(subscribers[i].away, InvalidOid));
}

} // namespace

void wait_until_gone(const Leaving &leaving, Oid database) {
    call([=] {
        const int64 since = clock::milliseconds();
        int64 asked = since;
        ConditionVariablePrepareToSleep(leaving.gone);
        while (leaving.there(database) && clock::milliseconds() - since <= patience_ms) {
            if (clock::milliseconds() - asked > grace_ms) {
                asked = clock::milliseconds();
                leaving.send_away(database);
            }
            ConditionVariableTimedSleep(leaving.gone, grace_ms, PG_WAIT_EXTENSION);
        }
        ConditionVariableCancelSleep();
    });
}

void subscribe(const Subscriber &subscriber) {
    if (count == subscribers.size())
        throw Error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "too many subscribers of claims");
    if (count == 0) {
        hooks::before_utility(before);
        hooks::at_transaction_end(at_end);
    }
    subscribers[count++] = {subscriber, InvalidOid};
}

} // namespace wc::pg::claims
