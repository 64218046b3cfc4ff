// Dates and times that are written as a word: 'now', 'today'. They become constants as soon as a text is analysed.
#pragma once

#include "pg/prelude.hpp"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace wc::cache {

// Whether a date or time may have been written as such a word in a statement, so that nothing analysed of it may be
// remembered. Plain server code.
bool tells_time_by_word(RawStmt *statement);

// Whether constants of a type are what they were written as, whenever that was read. Plain server code.
bool is_timeless(Oid type);

} // namespace wc::cache
