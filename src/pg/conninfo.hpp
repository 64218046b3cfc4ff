// Connection strings that a process which must never wait can connect with.
#pragma once

namespace wc::pg {

// Why a string is none of those, as a detail for an error: a full sentence, in which nothing of the string is. Null: it
// is one, or empty. Without a password, for whoever reads settings would read it; without a name to resolve, for the
// system's resolver blocks. Allocates nothing that it keeps, and never raises.
const char *conninfo_objection(const char *conninfo);

} // namespace wc::pg
