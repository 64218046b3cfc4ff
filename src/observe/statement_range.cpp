// From an analysed query to its tokens.
//
// The parser tells where each statement of a string begins and ends. What is analysed only when a statement runs (the
// query of EXPLAIN, DECLARE CURSOR, CREATE TABLE AS) comes without, as does the only statement of a string: such a
// query is looked for by the places of its expressions, which count from the beginning of the string.
#include "observe/statement_range.hpp"

#include <algorithm>

extern "C" {
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
}

namespace wc::observe {

namespace {

using lexer::Token;
using lexer::Tokens;
using lexer::Word;
using normalise::Range;

// Where one of its expressions stands; -1: not known. Subqueries of the text are looked into, as far as is sure.
int place_of(const Query *query, int depth = 0) {
    int place = exprLocation(reinterpret_cast<const Node *>(query->targetList));
    if (place < 0)
        place = exprLocation(reinterpret_cast<const Node *>(query->returningList));
    if (place < 0 && query->jointree != nullptr)
        place = exprLocation(query->jointree->quals);
    if (place < 0)
        place = exprLocation(query->limitCount);
    ListCell *cell = nullptr;
    foreach (cell, query->cteList) {
        if (place < 0)
            place = exprLocation(static_cast<const Node *>(lfirst(cell)));
    }
    foreach (cell, query->rtable) {
        const auto *entry = static_cast<const RangeTblEntry *>(lfirst(cell));
        if (place >= 0)
            break;
        if (entry->rtekind == RTE_SUBQUERY && entry->subquery != nullptr && depth < 8)
            place = place_of(entry->subquery, depth + 1);
        else if (entry->rtekind == RTE_VALUES)
            place = exprLocation(reinterpret_cast<const Node *>(entry->values_lists));
    }
    return place;
}

bool ends_statement(const Token &token) {
    return token.kind == lexer::Kind::Symbol && token.value == ';';
}

// Of one statement of a whole text. What is neither a query nor has one within is an expression of PL/pgSQL.
Range query_of(const Tokens &tokens, Range statement) {
    const Token &begin = tokens.items[statement.first];
    const bool wraps = begin.kind == lexer::Kind::Keyword &&
                       (begin.word == Word::Explain || begin.word == Word::Declare || begin.word == Word::Create ||
                        begin.word == Word::Prepare || begin.word == Word::Copy);
    return wraps ? normalise::query_within(tokens, statement) : statement;
}

} // namespace

Slice slice_of(const Query *query, const char *source, int most) {
    const int begin = std::max(query->stmt_location, 0);
    Slice slice = {source + begin, query->stmt_len, begin == 0 && query->stmt_len <= 0, false};
    const auto limit = static_cast<Size>(most) + 1;
    if (slice.length <= 0)
        slice.length = static_cast<int>(strnlen(slice.text, limit));
    if (slice.length > most) {
        slice.length = pg_mbcliplen(slice.text, slice.length, most);
        slice.cut = true;
    }
    return slice;
}

Range range_of(const Query *query, const Slice &slice, const Tokens &tokens) {
    const Range all = {0, tokens.count};
    if (all.empty())
        return {};
    if (!slice.whole)
        return normalise::query_within(tokens, all);

    const int place = place_of(query);
    Range found; // without a place: the only one that it can be
    int candidates = 0;
    for (int first = 0; first < tokens.count;) {
        int last = first;
        while (last < tokens.count && !ends_statement(tokens.items[last]))
            ++last;
        if (last > first && (place < 0 || (place >= tokens.items[first].start && place < tokens.items[last - 1].end))) {
            // One that is a query itself is told where it stands, unless it is the only one.
            const bool only = first == 0 && last == tokens.count;
            const Range inner = query_of(tokens, {first, last});
            if (!inner.empty() && (only || place >= 0 || inner.first > first)) {
                found = inner;
                ++candidates;
            }
        }
        first = last + 1;
    }
    if (candidates != 1)
        return {};
    if (slice.cut && place < 0)
        return {};
    return found;
}

} // namespace wc::observe
