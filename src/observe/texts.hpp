// The normalised texts of the statements that this session has analysed, by query id: bounded, the oldest that was not
// asked for since goes first. Plain server code for hot hooks.
#pragma once

#include "pg/prelude.hpp"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace wc::observe::texts {

// Called in post_parse_analyze with the query and the text that it was parsed from. Does nothing for a utility
// statement, whose command tag stands for it, nor for a query without an id, nor for one whose text is here already.
// Never raises: what can't be read has no text, nor has one that there is no memory for.
void remember(const Query *query, const char *source) noexcept;

// Normalised, at most whitecross.query_text_size bytes. Empty: not known (any more). Valid until the next remember().
std::string_view find(uint64 query_id) noexcept;

} // namespace wc::observe::texts
