// The settings that decide what a text means, and what its rows are and print. They are part of the key of each entry,
// and of what a session remembers of a text.
#pragma once

#include "pg/prelude.hpp"

namespace wc::cache {

// As bytes: the same where all these settings are. Appends to `out`. Plain server code, which does not raise.
void append_settings(std::string &out);

} // namespace wc::cache
