// What belongs to the extension: finding it, keeping managed objects from becoming members, and the automatic
// dependency that makes DROP EXTENSION remove them (and that pg_dump writes as DEPENDS ON EXTENSION).
#pragma once

#include "pg/guard.hpp"

namespace wc::pg {

// The extension's OID; InvalidOid where it isn't installed in this database.
Oid extension_oid();

// The schema that holds the extension's functions and tables. Throws 55000 where it isn't installed.
std::string extension_schema();

// True while CREATE EXTENSION or ALTER EXTENSION UPDATE runs one of our scripts.
bool in_extension_script();

// While it lives, objects created inside the extension's script do not become its members: a member view is not in
// a dump, and an initial privilege would be recorded for it.
class NotMembers {
  public:
    NotMembers();
    NotMembers(const NotMembers &) = delete;
    NotMembers &operator=(const NotMembers &) = delete;
    ~NotMembers();

  private:
    bool saved_;
};

// Makes DROP EXTENSION remove the object; takes that back.
void link(Oid class_id, Oid object);
void unlink(Oid class_id, Oid object);

} // namespace wc::pg
