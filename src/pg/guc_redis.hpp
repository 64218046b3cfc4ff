// The settings of the result cache's second tier. All of them are the server's (SIGHUP).
#pragma once

namespace wc::pg::settings::redis {

extern char *conninfo; // whitecross.redis_conninfo: as core/redis_address reads it; empty: there is none
extern int timeout;    // whitecross.redis_timeout: milliseconds to connect, and as many for an answer
extern char *key_file; // whitecross.redis_key_file: an absolute path; empty: none, and nothing is stored

// Whether this library has been built with hiredis.
extern const bool built;

// Defines them. Called once, by settings::define().
void define();

} // namespace wc::pg::settings::redis
