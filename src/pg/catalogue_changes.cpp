// Invalidation messages, taken for what they say of the transaction that will send them.
#include "pg/catalogue_changes.hpp"

extern "C" {
#include "storage/sinval.h"
#include "tcop/utility.h"
#include "utils/inval.h"
#include "utils/syscache.h"
}

namespace wc::pg::catalogue_changes {

namespace {

enum class Meaning : uint8 { Nothing, Names, Rules };

// Of a change in the rows that one of the server's caches of catalogue rows holds. A cache that is not named here, of
// a later version, is taken for one whose rows decide what expressions yield.
Meaning meaning(int cache) {
    switch (cache) {
    // What the planner knows of the data decides how a query runs, not what it yields. The relation is told of besides.
    case STATRELATTINH:
    case STATEXTDATASTXOID:
    case STATEXTNAMENSP:
    case STATEXTOID:
        return Meaning::Nothing;
    // Relations and what they are made of: a query that reads them hears of them by the relation's own message. And
    // what has no part in queries at all.
    case ATTNAME:
    case ATTNUM:
    case CONDEFAULT:
    case CONNAMENSP:
    case CONSTROID:
    case DATABASEOID:
    case DEFACLROLENSPOBJ:
    case EVENTTRIGGERNAME:
    case EVENTTRIGGEROID:
    case FOREIGNDATAWRAPPERNAME:
    case FOREIGNDATAWRAPPEROID:
    case FOREIGNSERVERNAME:
    case FOREIGNSERVEROID:
    case FOREIGNTABLEREL:
    case INDEXRELID:
    case NAMESPACENAME:
    case NAMESPACEOID:
    case PARTRELID:
    case PUBLICATIONNAME:
    case PUBLICATIONNAMESPACE:
    case PUBLICATIONNAMESPACEMAP:
    case PUBLICATIONOID:
    case PUBLICATIONREL:
    case PUBLICATIONRELMAP:
    case RELNAMENSP:
    case RELOID:
    case REPLORIGIDENT:
    case REPLORIGNAME:
    case RULERELNAME:
    case SEQRELID:
    case SUBSCRIPTIONNAME:
    case SUBSCRIPTIONOID:
    case SUBSCRIPTIONRELMAP:
    case TABLESPACEOID:
    case TYPENAMENSP:
    case TYPEOID:
    case USERMAPPINGOID:
    case USERMAPPINGUSERSERVER:
    // Roles, memberships and grants: a hit asks for the rights anew.
    case AUTHMEMMEMROLE:
    case AUTHMEMROLEMEM:
    case AUTHNAME:
    case AUTHOID:
    case PARAMETERACLNAME:
    case PARAMETERACLOID:
        return Meaning::Names;
    default:
        return Meaning::Rules;
    }
}

void tell_both(Seen seen, Oid database) {
    seen(Change::Names, database, InvalidOid);
    seen(Change::Rules, database, InvalidOid);
}

void tell(Seen seen, const SharedInvalidationMessage &message) {
    if (message.id >= 0) {
        const Meaning changed = meaning(message.id);
        if (changed != Meaning::Nothing)
            seen(Change::Names, message.cc.dbId, InvalidOid);
        if (changed == Meaning::Rules)
            seen(Change::Rules, message.cc.dbId, InvalidOid);
    } else if (message.id == SHAREDINVALCATALOG_ID) {
        tell_both(seen, message.cat.dbId);
    } else if (message.id == SHAREDINVALRELCACHE_ID) {
        if (OidIsValid(message.rc.relId))
            seen(Change::Relation, message.rc.dbId, message.rc.relId);
        else
            tell_both(seen, message.rc.dbId);
    }
    // The others are of files, and of snapshots of catalogues that no query's meaning depends on.
}

} // namespace

void each(Seen seen) {
    SharedInvalidationMessage *messages = nullptr;
    bool of_the_start_file = false;
    const int count = xactGetCommittedInvalidationMessages(&messages, &of_the_start_file);
    for (int i = 0; i < count; ++i)
        tell(seen, messages[i]);
    if (messages != nullptr)
        pfree(messages);
}

bool may_change(Node *statement) {
    return IsA(statement, DiscardStmt) || GetCommandLogLevel(statement) == LOGSTMT_DDL;
}

} // namespace wc::pg::catalogue_changes
