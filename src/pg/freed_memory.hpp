// What a process keeps of the memory that it has freed.
#pragma once

namespace wc::pg {

// From now on the C library keeps up to 8 MB of what is freed, as it does anyway once it has freed one large piece,
// instead of handing it back to the system at the end of each statement and asking for it again in the next: that takes
// longer than a statement served from memory does. Once a process; nothing where the library isn't glibc.
void keep_freed_memory() noexcept;

} // namespace wc::pg
