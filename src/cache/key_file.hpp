// Files with secrets: the keys of the second tier, and the password of its Redis. Such a file is a regular one of this
// process' user, and nobody else may read or write it. Knows nothing of the server.
#pragma once

#include "cache/seal.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace wc::cache::key_file {

// What tells that a file is another one, or was written: all zeros where there is none.
struct Mark {
    std::uint64_t device = 0;
    std::uint64_t file = 0;
    std::int64_t size = 0;
    std::int64_t written = 0; // nanoseconds
    std::int64_t changed = 0;
    bool operator==(const Mark &) const = default;
};
Mark mark_of(const char *path) noexcept;

constexpr size_t most_keys = 8;

// Each of these gives null, or why not, as words that follow the name of what the file is for; nothing of the file is
// in them.

// One key a line, 64 hexadecimal digits; the first one seals, all open. Empty lines don't count, nor lines that begin
// with #.
const char *read_keys(const char *path, std::vector<seal::Key> &keys);

// The file's first line.
const char *read_password(const char *path, std::string &password);

} // namespace wc::cache::key_file
