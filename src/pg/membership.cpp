// What belongs to the extension.
#include "pg/membership.hpp"

#include "pg/compat.hpp"

extern "C" {
#include "access/genam.h"
#include "catalog/pg_depend.h"
#include "utils/fmgroids.h"
}

namespace wc::pg {

Oid extension_oid() {
    return call([] { return get_extension_oid("whitecross", true); });
}

std::string extension_schema() {
    const Oid extension = extension_oid();
    if (!OidIsValid(extension))
        throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "extension \"whitecross\" is not installed", {},
                    "Run CREATE EXTENSION whitecross in this database.");
    char *name = call([=] { return get_namespace_name(compat::extension_schema(extension)); });
    if (name == nullptr)
        throw Error(ERRCODE_UNDEFINED_SCHEMA, "schema of extension \"whitecross\" does not exist");
    return name;
}

bool in_extension_script() {
    return creating_extension && CurrentExtensionObject == extension_oid();
}

NotMembers::NotMembers() : saved_(creating_extension) {
    creating_extension = false;
}

NotMembers::~NotMembers() {
    creating_extension = saved_;
}

namespace {

// Visits the extension's automatic dependencies of an object; deletes them if asked. Returns how many there are.
// Plain server code: call it inside a guard.
int scan_links(Oid class_id, Oid object, Oid extension, bool remove) {
    ::Relation depend = table_open(DependRelationId, remove ? RowExclusiveLock : AccessShareLock);
    ScanKeyData key[2];
    ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(class_id));
    ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
    SysScanDesc scan = systable_beginscan(depend, DependDependerIndexId, true, nullptr, 2, key);
    int found = 0;
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
        auto *row = reinterpret_cast<Form_pg_depend>(GETSTRUCT(tuple));
        if (row->refclassid != ExtensionRelationId || row->refobjid != extension ||
            row->deptype != DEPENDENCY_AUTO_EXTENSION)
            continue;
        ++found;
        if (remove)
            CatalogTupleDelete(depend, &tuple->t_self);
    }
    systable_endscan(scan);
    table_close(depend, remove ? RowExclusiveLock : AccessShareLock);
    return found;
}

} // namespace

void link(Oid class_id, Oid object) {
    const Oid extension = extension_oid();
    call([=] {
        if (scan_links(class_id, object, extension, false) > 0)
            return;
        ObjectAddress depender;
        ObjectAddress referenced;
        ObjectAddressSet(depender, class_id, object);
        ObjectAddressSet(referenced, ExtensionRelationId, extension);
        recordDependencyOn(&depender, &referenced, DEPENDENCY_AUTO_EXTENSION);
        CommandCounterIncrement();
    });
}

void unlink(Oid class_id, Oid object) {
    const Oid extension = extension_oid();
    call([=] {
        (void)scan_links(class_id, object, extension, true);
        CommandCounterIncrement();
    });
}

} // namespace wc::pg
