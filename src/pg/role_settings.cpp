// What ALTER ROLE ... SET has set for a role in all databases.
#include "pg/role_settings.hpp"

extern "C" {
#include "access/genam.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_db_role_setting.h"
#include "utils/array.h"
}

namespace wc::pg::role_settings {

namespace {

// Of "name=value" entries the value of one, in the current memory; null: there is none. Plain server code.
const char *value_of(Datum entries, const char *setting) {
    Datum *each;
    int count;
    deconstruct_array(DatumGetArrayTypeP(entries), TEXTOID, -1, false, TYPALIGN_INT, &each, nullptr, &count);
    const size_t length = strlen(setting);
    for (int i = 0; i < count; ++i) {
        const char *entry = TextDatumGetCString(each[i]);
        if (strncmp(entry, setting, length) == 0 && entry[length] == '=')
            return entry + length + 1;
    }
    return nullptr;
}

// The same of a role's row. Without a snapshot of its own a scan of a catalogue sees what is committed now. Plain
// server code: call it inside a guard.
const char *find(Oid role, const char *setting) {
    ::Relation catalog = table_open(DbRoleSettingRelationId, AccessShareLock);
    ScanKeyData key[2];
    ScanKeyInit(&key[0], Anum_pg_db_role_setting_setdatabase, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(InvalidOid));
    ScanKeyInit(&key[1], Anum_pg_db_role_setting_setrole, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
    SysScanDesc scan = systable_beginscan(catalog, DbRoleSettingDatidRolidIndexId, true, nullptr, 2, key);
    const char *value = nullptr;
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
        bool null;
        const Datum entries = heap_getattr(tuple, Anum_pg_db_role_setting_setconfig, RelationGetDescr(catalog), &null);
        if (!null)
            value = value_of(entries, setting);
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
    return value;
}

} // namespace

void lock(Oid role) {
    call([=] {
        if (XactReadOnly || RecoveryInProgress() || (role != GetUserId() && !has_createrole_privilege(GetUserId())))
            return;
        // In conflict with itself, but not with what the server's own commands take on a role, but for DROP ROLE.
        LockSharedObject(AuthIdRelationId, role, 0, ShareUpdateExclusiveLock);
    });
}

Text get(Oid role, const std::string &setting) {
    const char *value = call([=, name = setting.c_str()] { return find(role, name); });
    return value == nullptr ? Text{} : Text{value};
}

} // namespace wc::pg::role_settings
