// What the library's entry calls of this room, and what the room's functions ask first.
#pragma once

#include "pg/guard.hpp"

namespace wc::observe {

// Subscribes to what is observed, where the server loads the library at its start. Called once, by
// _PG_init.
void init();

// True where it stands in shared_preload_libraries.
bool preloaded();

// Throws 55000, with the line for postgresql.conf, where it doesn't: there is no shared memory then.
void require_preloaded();

// Whose statements the current user may see: all with the rights of pg_read_all_stats, else its own, as in
// pg_stat_statements. Throws Error.
class Viewer {
  public:
    Viewer();
    [[nodiscard]] bool sees(Oid role) const { return all_ || role == role_; }

  private:
    Oid role_;
    bool all_;
};

} // namespace wc::observe
