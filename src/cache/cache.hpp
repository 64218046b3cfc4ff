// The result cache, to the rest of the library: rows of queries, shared by all sessions, gone as soon as a table that
// they were read from is written by whatever means.
#pragma once

namespace wc::cache {

// Subscribes to what the cache follows. Once, in _PG_init, before the hooks are installed.
void init();

} // namespace wc::cache
