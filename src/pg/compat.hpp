// What differs between server versions, and only that.
#pragma once

#include "pg/prelude.hpp"

namespace wc::pg::compat {

// The schema of an extension. Exported by the server from 16 on. Plain server code: call it inside a guard.
Oid extension_schema(Oid extension);

} // namespace wc::pg::compat
