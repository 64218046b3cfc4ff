// Marks of what the change log rests on.
#include "refresh/trust.hpp"

#include "pg/membership.hpp"
#include "pg/relation.hpp"
#include "refresh/stamp.hpp"

#include <array>

extern "C" {
#include "access/genam.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
}

namespace wc::refresh {

namespace {

// --- Plain server code, called inside a guard; every scan is under the snapshot that is handed down, or, where that is
// null, under the catalogue's own.

// What identifies one version of a catalogue row. Its place is in it too, because one transaction can change a row
// twice.
struct Version {
    TransactionId xmin;
    BlockNumber block;
    OffsetNumber offset;
    uint16 padding = 0;
    explicit Version(HeapTuple tuple)
        : xmin(HeapTupleHeaderGetRawXmin(tuple->t_data)), block(ItemPointerGetBlockNumber(&tuple->t_self)),
          offset(ItemPointerGetOffsetNumber(&tuple->t_self)) {}
};

struct ClassRow {
    Oid relid = InvalidOid;
    char kind = 0;
    char persistence = 0;
    Oid filenode = InvalidOid;
    TransactionId xmin = InvalidTransactionId;
    BlockNumber block = 0;
    OffsetNumber offset = 0;
};

ClassRow read_class(SysScanDesc scan) {
    ClassRow out;
    HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
        const auto *row = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
        const Version version(tuple);
        out = {row->oid,     row->relkind,  row->relpersistence, row->relfilenode,
               version.xmin, version.block, version.offset};
    }
    systable_endscan(scan);
    return out;
}

ClassRow class_row(Oid relid, Snapshot snapshot) {
    ::Relation catalog = table_open(RelationRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
    const ClassRow out = read_class(systable_beginscan(catalog, ClassOidIndexId, true, snapshot, 1, &key));
    table_close(catalog, AccessShareLock);
    return out;
}

ClassRow class_row(const char *name, Oid schema, Snapshot snapshot) {
    NameData wanted;
    namestrcpy(&wanted, name);
    ::Relation catalog = table_open(RelationRelationId, AccessShareLock);
    ScanKeyData key[2];
    ScanKeyInit(&key[0], Anum_pg_class_relname, BTEqualStrategyNumber, F_NAMEEQ, NameGetDatum(&wanted));
    ScanKeyInit(&key[1], Anum_pg_class_relnamespace, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(schema));
    const ClassRow out = read_class(systable_beginscan(catalog, ClassNameNspIndexId, true, snapshot, 2, key));
    table_close(catalog, AccessShareLock);
    return out;
}

// The triggers that have to be there, with the state in which each fires when it must.
struct Expected {
    const char *name;
    char enabled;
};
constexpr std::array expected_of_table = {
    Expected{"wc_capture_insert", TRIGGER_FIRES_ON_ORIGIN}, Expected{"wc_capture_update", TRIGGER_FIRES_ON_ORIGIN},
    Expected{"wc_capture_delete", TRIGGER_FIRES_ON_ORIGIN}, Expected{"wc_capture_replica", TRIGGER_FIRES_ON_REPLICA},
    Expected{"wc_capture_truncate", TRIGGER_FIRES_ALWAYS}};
constexpr std::array expected_of_partitioned = {Expected{"wc_capture_row", TRIGGER_FIRES_ALWAYS},
                                                Expected{"wc_capture_truncate", TRIGGER_FIRES_ALWAYS}};
constexpr std::array expected_of_partition = {Expected{"wc_capture_row", TRIGGER_FIRES_ALWAYS}};
// Besides, where a statement may name a parent that is not of the family: it fires no statement trigger of these.
constexpr std::array expected_below_others = {Expected{"wc_capture_row", TRIGGER_FIRES_ALWAYS}};

enum class Fault { none, absent, switched_off, unlogged, foreign };

// Adds a relation's capture triggers to the digest.
template <typename All> Fault add_triggers(Oid relid, const All &all, Snapshot snapshot, Digest &digest) {
    ::Relation catalog = table_open(TriggerRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
    SysScanDesc scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, snapshot, 1, &key);
    size_t found = 0;
    bool off = false;
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
        const auto *row = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple));
        for (const Expected &one : all) {
            if (strcmp(NameStr(row->tgname), one.name) != 0)
                continue;
            ++found;
            off = off || row->tgenabled != one.enabled;
            const struct {
                Version version;
                Oid oid;
                Oid function;
                uint32 enabled;
            } mark = {Version(tuple), row->oid, row->tgfoid, static_cast<uint32>(row->tgenabled)};
            digest.add(&mark, sizeof(mark));
        }
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
    return found < all.size() ? Fault::absent : off ? Fault::switched_off : Fault::none;
}

struct Digests {
    Digest triggers;
    Digest children;
    Digest files;
    List *family = NIL; // the table and its descendants
    Fault fault = Fault::none;
    void note(Fault found) {
        if (fault == Fault::none)
            fault = found;
    }
    // Where rows come and go without firing a trigger here: a crash of the server, or a promotion, empties an unlogged
    // table; a foreign partition or child is written at its other end.
    void note_storage(const ClassRow &table) {
        if (table.persistence == RELPERSISTENCE_UNLOGGED)
            note(Fault::unlogged);
        if (table.kind == RELKIND_FOREIGN_TABLE)
            note(Fault::foreign);
    }
};

// A table's partitions or children, and theirs.
void add_descendants(const ClassRow &parent, Snapshot snapshot, Digests &digests) {
    check_stack_depth();
    ::Relation catalog = table_open(InheritsRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_inherits_inhparent, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(parent.relid));
    SysScanDesc scan = systable_beginscan(catalog, InheritsParentIndexId, true, snapshot, 1, &key);
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
        const auto *row = reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple));
        const struct {
            Version version;
            Oid child;
            Oid parent;
        } link = {Version(tuple), row->inhrelid, row->inhparent};
        digests.children.add(&link, sizeof(link));
        const ClassRow child = class_row(row->inhrelid, snapshot);
        digests.note_storage(child);
        if (parent.kind == RELKIND_PARTITIONED_TABLE) {
            // TRUNCATE of a partition fires no trigger of ours: its file tells.
            const Oid file[2] = {child.relid, child.filenode};
            digests.files.add(file, sizeof(file));
            digests.note(add_triggers(child.relid, expected_of_partition, snapshot, digests.triggers));
        } else {
            digests.note(add_triggers(child.relid, expected_of_table, snapshot, digests.triggers));
        }
        digests.family = lappend_oid(digests.family, child.relid);
        add_descendants(child, snapshot, digests);
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
}

// Whether one of a family has a parent that is not of it.
bool below_others(const List *family, Snapshot snapshot) {
    bool found = false;
    ::Relation catalog = table_open(InheritsRelationId, AccessShareLock);
    for (int i = 0; i < list_length(family) && !found; ++i) {
        ScanKeyData key;
        ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
                    ObjectIdGetDatum(list_nth_oid(family, i)));
        SysScanDesc scan = systable_beginscan(catalog, InheritsRelidSeqnoIndexId, true, snapshot, 1, &key);
        HeapTuple tuple;
        while (HeapTupleIsValid(tuple = systable_getnext(scan)))
            found = found || !list_member_oid(family, reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple))->inhparent);
        systable_endscan(scan);
    }
    table_close(catalog, AccessShareLock);
    return found;
}

Digests digests_of(const ClassRow &table, Snapshot snapshot) {
    Digests out;
    out.family = list_make1_oid(table.relid);
    out.note(table.kind == RELKIND_PARTITIONED_TABLE
                 ? add_triggers(table.relid, expected_of_partitioned, snapshot, out.triggers)
                 : add_triggers(table.relid, expected_of_table, snapshot, out.triggers));
    out.note_storage(table);
    add_descendants(table, snapshot, out);
    if (table.kind != RELKIND_PARTITIONED_TABLE && below_others(out.family, snapshot))
        for (int i = 0; i < list_length(out.family); ++i)
            out.note(add_triggers(list_nth_oid(out.family, i), expected_below_others, snapshot, out.triggers));
    return out;
}

// --- C++

std::string text(const Digest &digest) {
    char hex[17];
    std::snprintf(hex, sizeof(hex), "%016llx", static_cast<unsigned long long>(digest.value));
    return hex;
}

std::string text(const ClassRow &row) {
    return std::to_string(row.relid) + "/" + std::to_string(row.filenode) + "/" + std::to_string(row.xmin) + "/" +
           std::to_string(row.block) + "/" + std::to_string(row.offset);
}

std::string describe(Fault fault, const std::string &table) {
    switch (fault) {
    case Fault::absent:
        return "there is no capture trigger on table " + table;
    case Fault::unlogged:
        return "a crash would empty table " + table + ", which is unlogged, without a word";
    case Fault::foreign:
        return "a partition or child of table " + table + " is a foreign table, which others write";
    default:
        return "a capture trigger is switched off on table " + table;
    }
}

} // namespace

Trust take_marks(Oid view, const std::vector<std::string> &tables) {
    Trust out;
    const std::string schema_name = pg::extension_schema();
    const Oid log = pg::find_relation(schema_name, "wc_change");
    const Oid settings = pg::find_relation(schema_name, "wc_site_setting");
    const Oid mappings = pg::find_relation(schema_name, "wc_site_mapping");
    const Oid site_views = pg::find_relation(schema_name, "wc_site_view");
    struct Whole {
        ClassRow view;
        ClassRow log;
        Oid schema = InvalidOid;
        Digest stamp;
    };
    const Whole whole = pg::call([=] {
        Whole found;
        const Snapshot snapshot = GetActiveSnapshot();
        found.view = class_row(view, snapshot);
        found.log = class_row(log, snapshot);
        found.schema = get_rel_namespace(view);
        add_rows(settings, snapshot, found.stamp);
        add_rows(mappings, snapshot, found.stamp);
        // Of another view's definition only the columns that triggers note depend, and these are marks themselves.
        if (const char *name = get_rel_name(view); name != nullptr)
            add_rows(site_views, snapshot, found.stamp, name);
        add_version(snapshot, found.stamp);
        return found;
    });
    Digest stamp = whole.stamp;
    out.marks["view"] = text(whole.view);
    out.marks["log"] = std::to_string(whole.log.relid) + "/" + std::to_string(whole.log.filenode);
    for (const auto &table : tables) {
        struct One {
            ClassRow row;
            Digests digests;
            Digest columns;
        };
        const char *const name = table.c_str();
        const One one = pg::call([=] {
            One found;
            const Snapshot snapshot = GetActiveSnapshot();
            found.row = class_row(name, whole.schema, snapshot);
            found.digests = digests_of(found.row, snapshot);
            add_columns(found.row.relid, snapshot, found.columns);
            return found;
        });
        stamp.value += one.columns.value;
        out.marks[table + " relation"] = std::to_string(one.row.relid) + "/" + one.row.kind;
        out.marks[table + " triggers"] = text(one.digests.triggers);
        out.marks[table + " children"] = text(one.digests.children);
        out.marks[table + " files"] = text(one.digests.files);
        if (one.digests.fault != Fault::none) {
            if (one.digests.fault == Fault::absent || one.digests.fault == Fault::switched_off)
                out.broken.push_back(table);
            if (out.fault.empty())
                out.fault = describe(one.digests.fault, table);
        }
    }
    out.marks["stamp"] = text(stamp);
    return out;
}

std::string mark_of_view(Oid view) {
    return text(pg::call([=] { return class_row(view, nullptr); }));
}

std::string difference(const Marks &recorded, const Marks &now) {
    const auto changed = [&](const std::string &name) {
        const auto before = recorded.find(name);
        const auto after = now.find(name);
        return before == recorded.end() || after == now.end() || before->second != after->second;
    };
    if (changed("stamp"))
        return "its definition changed";
    if (changed("view"))
        return "the view was refreshed or altered by other means";
    if (changed("log"))
        return "the change log was rewritten";
    for (const auto &[name, value] : now) {
        if (!changed(name))
            continue;
        const size_t space = name.find(' ');
        const std::string table = name.substr(0, space);
        const std::string what = name.substr(space + 1);
        if (what == "relation")
            return "table " + table + " is another one than before";
        if (what == "children")
            return "partitions or children of table " + table + " changed";
        if (what == "files")
            return "a partition of table " + table + " was truncated or rewritten";
        return "triggers of table " + table + " changed";
    }
    return {};
}

} // namespace wc::refresh
