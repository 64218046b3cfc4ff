// Normalised text of what a session has sent, which may hold several statements, be cut or not be SQL at all.
#pragma once

#include "pg/function.hpp"

namespace wc::observe {

// How much is known of a source text.
struct Source {
    bool parsed = false; // by the session that sent it: it is SQL
    bool cut = false;    // it may end anywhere
};

// Each SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES or TABLE normalised, every other statement as its command tag,
// with '; ' between them. What can't be parsed may have its quotes in the wrong places, so that a value looks like a
// name: of it, as of a cut text that isn't known to be SQL, only the first keyword is told; empty where there is none.
pg::Text query_text(const std::string &source, Source known);

} // namespace wc::observe
