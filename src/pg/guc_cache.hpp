// The settings of the result cache.
#pragma once

namespace wc::pg::settings::cache {

extern bool on;       // whitecross.cache: this session uses it
extern int entries;   // whitecross.cache_entries: 0: there is no cache
extern int size;      // whitecross.cache_size: kilobytes
extern int max_entry; // whitecross.cache_max_entry: kilobytes
extern int wait;      // whitecross.cache_wait: milliseconds to wait for another session's fill

// Defines them. Called once, by settings::define().
void define();

} // namespace wc::pg::settings::cache
