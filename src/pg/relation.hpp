// Relations and their catalogue facts.
#pragma once

#include "pg/guard.hpp"

namespace wc::pg {

// An open relation; closed (its lock kept to the transaction's end) when the object goes.
class Relation {
  public:
    Relation(Oid relid, LOCKMODE lock);
    Relation(const Relation &) = delete;
    Relation &operator=(const Relation &) = delete;
    ~Relation();
    [[nodiscard]] ::Relation get() const { return relation_; }

  private:
    ::Relation relation_;
    int exceptions_;
};

// The OID of a relation in a schema, or InvalidOid.
Oid find_relation(const std::string &schema, const std::string &name);

// The OID of a CHECK constraint of a table, or InvalidOid.
Oid find_constraint(Oid table, const std::string &name);

} // namespace wc::pg
