// What differs between server versions.
#include "pg/compat.hpp"

extern "C" {
#include "access/genam.h"
}

namespace wc::pg::compat {

#if PG_VERSION_NUM >= 160000

Oid extension_schema(Oid extension) {
    return get_extension_schema(extension);
}

#else

Oid extension_schema(Oid extension) {
    Oid schema = InvalidOid;
    ::Relation table = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
    SysScanDesc scan = systable_beginscan(table, ExtensionOidIndexId, true, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple))
        schema = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extnamespace;
    systable_endscan(scan);
    table_close(table, AccessShareLock);
    return schema;
}

#endif

} // namespace wc::pg::compat
