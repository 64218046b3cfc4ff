// Texts that were taken down in one database and are shown in another.
#pragma once

#include "pg/guard.hpp"

namespace wc::observe {

// A text in the encoding of this database. Where it has characters that this one lacks, or bytes that are none in its
// own, each byte outside of ASCII becomes a question mark: a row that can't be shown would hide all others.
std::string in_database_encoding(std::string_view text, int encoding);

} // namespace wc::observe
