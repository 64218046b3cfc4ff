// The server's secret: made anew with its shared memory, so at each start and after a crash, and never shown. What is
// derived of it names entries without telling what they are of, and nothing of one start means anything to the next.
#pragma once

#include "pg/guard.hpp"

#include <array>
#include <string_view>

namespace wc::cache::secret {

constexpr size_t size = 32;
using Code = std::array<uint8, size>;

// Whether there is one: the library is preloaded.
bool made() noexcept;

// HMAC-SHA256 of the parts under a key of the secret's that is the purpose's own. Each part counts with its length, so
// no two lists of parts run together into the same bytes. Throws Error: XX000 where there is no secret or the server's
// library fails, 53200 without memory.
Code code_of(std::string_view purpose, const std::string_view *parts, size_t count);

// Its shared memory. Called once, by cache::init().
void init();

} // namespace wc::cache::secret
