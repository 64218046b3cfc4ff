// The databases of the server, as a process that is connected to none of them sees them.
#pragma once

#include "pg/guard.hpp"

namespace wc::pg {

struct Database {
    Oid oid = InvalidOid;
    std::string name;
    bool connectable = false; // allows connections, and isn't what a DROP that failed has left
    bool is_template = false;
};

// All of them, in a short transaction of its own. Only where none is open. Throws Error.
std::vector<Database> databases();

} // namespace wc::pg
