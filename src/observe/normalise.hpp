// The text of a statement without its values: every constant is $n, comments are gone, names stay. Plain server code,
// as observe/lexer.
#pragma once

#include "observe/lexer.hpp"

namespace wc::observe::normalise {

// Some of the tokens of a text, the last one excluded.
struct Range {
    int first = 0;
    int last = 0;
    [[nodiscard]] bool empty() const { return first >= last; }
};

struct Text {
    char *bytes; // in the caller's memory context, not terminated
    int length;
};

// Writes them, at most `limit` bytes, cut at a character's border. Constants are numbered by position, from above the
// highest parameter that is there. What stood between two tokens is kept if it is white space, else it is one space.
// Raises for want of memory only.
Text write(const lexer::Tokens &tokens, Range range, int limit);

// The statement that begins with these tokens, as it counts: that of EXPLAIN, DECLARE CURSOR, PREPARE, COPY, CREATE
// TABLE AS or CREATE VIEW is the one within it. Empty where there is none to be seen.
Range query_within(const lexer::Tokens &tokens, Range statement);

// Whether a token begins a statement with a query id of its own: SELECT, INSERT, UPDATE, DELETE, MERGE, WITH, VALUES,
// TABLE, a parenthesis.
bool begins_query(const lexer::Token &token);

} // namespace wc::observe::normalise
