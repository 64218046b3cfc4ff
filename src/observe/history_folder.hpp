// The folder of the histories, of queries and of connections: pg_stat/whitecross in the server's data folder.
#pragma once

#include "core/history_file.hpp"
#include "pg/guard.hpp"

namespace wc::observe::history::folder {

struct Entry {
    std::string name;
    std::optional<core::history::FileName> file; // nothing: its name is none of ours
};

// What is in it, in the order of names, so of hours; without files that are being written. Empty where there is no
// folder yet. Throws Error.
std::vector<Entry> list();

// The whole of a file; nothing where it is gone. Throws Error: 58030 and the like.
std::optional<std::string> read(const std::string &name);

// Who is told of a file that can't be used: its name, and what is the matter, as the end of a sentence.
using Problem = void (*)(const std::string &name, std::string_view what);

// The same, but a file that can't be read is told of, and nothing.
std::optional<std::string> read(const std::string &name, Problem problem);

// Tells of such a file in the server's log; outcome: what comes of it, as the end of a sentence.
void warn(const std::string &name, std::string_view what, const char *outcome);

// The size of a file in bytes; 0 where it is gone.
int64 size(const std::string &name);

// Puts a file in the place of what there is by that name, or leaves that as it is. On disk when this returns.
// Throws Error: 53100 (disk full), 58030 and the like.
void write(const std::string &name, const std::string &bytes);

// Puts bytes into a file from a place on, with nothing after them; at 0 the file is made where there is none. On disk
// when this returns. Throws Error: 58P01 or XX001 where there is no such file or it ends before that place; 53100 and
// the like.
void append(const std::string &name, int64 place, const std::string &bytes);

// Takes a file away, if it is there. Throws Error.
void remove(const std::string &name);

// Takes away what a server that stopped while writing left behind. Only where nobody else writes. Throws Error.
void remove_unfinished();

} // namespace wc::observe::history::folder
