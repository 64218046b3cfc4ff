// What the expanded texts of a view were made from.
#include "refresh/stamp.hpp"

extern "C" {
#include "access/genam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_enum.h"
}

namespace wc::refresh {

namespace {

// Adds a type's labels, where it is an enum: which of them there are is in the definitions.
void add_labels(Oid type, Snapshot snapshot, Digest &digest) {
    const Oid base = getBaseType(type);
    if (get_typtype(base) != TYPTYPE_ENUM)
        return;
    ::Relation catalog = table_open(EnumRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_enum_enumtypid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(base));
    SysScanDesc scan = systable_beginscan(catalog, EnumTypIdLabelIndexId, true, snapshot, 1, &key);
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
        const auto *row = reinterpret_cast<Form_pg_enum>(GETSTRUCT(tuple));
        digest.add(NameStr(row->enumlabel), strlen(NameStr(row->enumlabel)));
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
}

} // namespace

void add_columns(Oid relid, Snapshot snapshot, Digest &digest) {
    ::Relation catalog = table_open(AttributeRelationId, AccessShareLock);
    ScanKeyData key[2];
    ScanKeyInit(&key[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
    ScanKeyInit(&key[1], Anum_pg_attribute_attnum, BTGreaterStrategyNumber, F_INT2GT, Int16GetDatum(0));
    SysScanDesc scan = systable_beginscan(catalog, AttributeRelidNumIndexId, true, snapshot, 2, key);
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
        const auto *row = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple));
        if (row->attisdropped)
            continue;
        struct {
            NameData name;
            Oid relid;
            Oid type;
            int32 modifier;
            int32 number;
        } mark = {{}, relid, row->atttypid, row->atttypmod, row->attnum};
        namestrcpy(&mark.name, NameStr(row->attname));
        digest.add(&mark, sizeof(mark));
        add_labels(row->atttypid, snapshot, digest);
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
}

void add_rows(Oid relid, Snapshot snapshot, Digest &digest, const char *first) {
    ::Relation table = table_open(relid, AccessShareLock);
    const TupleDesc description = RelationGetDescr(table);
    SysScanDesc scan = systable_beginscan(table, InvalidOid, false, snapshot, 0, nullptr);
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
        if (first != nullptr && strcmp(SPI_getvalue(tuple, description, 1), first) != 0) // NOT NULL, as keys are
            continue;
        StringInfoData text;
        initStringInfo(&text);
        for (int column = 1; column <= description->natts; ++column) {
            const char *value = SPI_getvalue(tuple, description, column);
            if (value != nullptr)
                appendStringInfo(&text, "%d:%s", column, value);
            appendStringInfoChar(&text, '\n');
        }
        digest.add(text.data, text.len);
        pfree(text.data);
    }
    systable_endscan(scan);
    table_close(table, AccessShareLock);
}

void add_version(Snapshot snapshot, Digest &digest) {
    ::Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("whitecross"));
    SysScanDesc scan = systable_beginscan(catalog, ExtensionNameIndexId, true, snapshot, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
        const char *version = SPI_getvalue(tuple, RelationGetDescr(catalog), Anum_pg_extension_extversion);
        digest.add(version, strlen(version));
        const Oid oid = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->oid;
        digest.add(&oid, sizeof(oid));
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
}

} // namespace wc::refresh
