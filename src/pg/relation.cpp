// Relations and their catalogue facts.
#include "pg/relation.hpp"

namespace wc::pg {

Relation::Relation(Oid relid, LOCKMODE lock)
    : relation_(call([=] { return relation_open(relid, lock); })), exceptions_(std::uncaught_exceptions()) {}

Relation::~Relation() {
    // On the way of an exception the resource owner closes it, with the transaction or subtransaction.
    if (std::uncaught_exceptions() == exceptions_)
        relation_close(relation_, NoLock);
}

Oid find_relation(const std::string &schema, const std::string &name) {
    const char *schema_name = schema.c_str();
    const char *relation_name = name.c_str();
    return call([=] {
        const Oid space = get_namespace_oid(schema_name, true);
        return OidIsValid(space) ? get_relname_relid(relation_name, space) : InvalidOid;
    });
}

Oid find_constraint(Oid table, const std::string &name) {
    const char *constraint_name = name.c_str();
    return call([=] { return get_relation_constraint_oid(table, constraint_name, true); });
}

} // namespace wc::pg
