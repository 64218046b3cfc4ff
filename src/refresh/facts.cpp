// What the catalogue says of a view.
#include "refresh/facts.hpp"

namespace wc::refresh {

Facts facts(Oid relid) {
    return pg::call([=] {
        Facts out;
        HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
        if (!HeapTupleIsValid(tuple))
            return out;
        const auto *row = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
        const char *schema = get_namespace_name(row->relnamespace);
        if (row->relkind == RELKIND_MATVIEW && schema != nullptr) {
            out.there = true;
            out.populated = row->relispopulated;
            out.owner = row->relowner;
            out.filenode = row->relfilenode;
            out.name = row->relname;
            namestrcpy(&out.schema, schema);
        }
        ReleaseSysCache(tuple);
        return out;
    });
}

} // namespace wc::refresh
