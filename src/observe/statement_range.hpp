// Where in the text that the server has parsed an analysed query stands. Plain server code, as observe/lexer.
#pragma once

#include "observe/normalise.hpp"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace wc::observe {

// A part of a text.
struct Slice {
    const char *text;
    int length;
    bool whole; // all that was parsed: the query is somewhere within
    bool cut;   // there is more of it
};

// What the server says of it, at most `most` bytes.
Slice slice_of(const Query *query, const char *source, int most);

// The query's own tokens among those of its slice; empty where they can't be told from those of another statement.
normalise::Range range_of(const Query *query, const Slice &slice, const lexer::Tokens &tokens);

} // namespace wc::observe
