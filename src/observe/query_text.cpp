// Sources into texts.
#include "observe/query_text.hpp"

#include "observe/normalise.hpp"

extern "C" {
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "tcop/utility.h"
}

namespace wc::observe {

namespace {

using lexer::Token;
using lexer::Tokens;
using normalise::Range;

// The scanner within the parser reads strings as this variable says.
class Strings {
  public:
    explicit Strings(bool standard) : outer_(std::exchange(standard_conforming_strings, standard)) {}
    Strings(const Strings &) = delete;
    Strings &operator=(const Strings &) = delete;
    ~Strings() { standard_conforming_strings = outer_; }

  private:
    bool outer_;
};

void next(StringInfo text) {
    if (text->len > 0)
        appendStringInfoString(text, "; ");
}

void add_query(StringInfo text, const Tokens &tokens, Range range) {
    const normalise::Text query = normalise::write(tokens, range, static_cast<int>(MaxAllocSize / 2));
    next(text);
    appendBinaryStringInfo(text, query.bytes, query.length);
}

void add_keyword(StringInfo text, const Tokens &tokens, int position) {
    if (position >= tokens.count || tokens.items[position].kind != lexer::Kind::Keyword)
        return;
    next(text);
    for (int i = tokens.items[position].start; i < tokens.items[position].end; ++i)
        appendStringInfoChar(text, static_cast<char>(pg_toupper(static_cast<unsigned char>(tokens.text[i]))));
}

bool normalised(const Node *statement) {
    switch (nodeTag(statement)) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
        return true;
    default:
        return false;
    }
}

// Of a text that the parser takes; raises where it doesn't.
void add_parsed(StringInfo text, const Tokens &tokens) {
    int token = 0;
    const List *statements = raw_parser(tokens.text, RAW_PARSE_DEFAULT);
    ListCell *cell = nullptr;
    foreach (cell, statements) {
        const auto *statement = static_cast<const RawStmt *>(lfirst(cell));
        const int end = statement->stmt_len > 0 ? statement->stmt_location + statement->stmt_len : INT_MAX;
        Range range = {token, token};
        for (; token < tokens.count && tokens.items[token].start < end; ++token)
            if (tokens.items[token].start < statement->stmt_location)
                range.first = token + 1;
        range.last = token;
        if (normalised(statement->stmt)) {
            add_query(text, tokens, range);
        } else {
            next(text);
            appendStringInfoString(text, GetCommandTagName(CreateCommandTag(statement->stmt)));
        }
    }
}

// Of a text that a session has parsed and that has lost its end.
void add_cut(StringInfo text, const Tokens &tokens) {
    for (int first = 0; first < tokens.count;) {
        int last = first;
        while (last < tokens.count &&
               !(tokens.items[last].kind == lexer::Kind::Symbol && tokens.items[last].value == ';'))
            ++last;
        if (last > first && normalise::begins_query(tokens.items[first]))
            add_query(text, tokens, {first, last});
        else
            add_keyword(text, tokens, first);
        first = last + 1;
    }
}

} // namespace

pg::Text query_text(const std::string &source, Source known) {
    const lexer::Quiet quiet;
    const char *const bytes = source.c_str();
    const auto length = static_cast<int>(source.size());
    const Tokens tokens = lexer::scan_safely(bytes, length, standard_conforming_strings, known.cut);
    StringInfoData text = {};
    pg::call([&text] { initStringInfo(&text); });
    if (known.cut && known.parsed) {
        pg::call([&] { add_cut(&text, tokens); });
    } else if (!known.cut && tokens.complete) {
        try {
            const Strings strings(tokens.standard);
            pg::call([&] { add_parsed(&text, tokens); });
        } catch (const pg::Error &error) {
            // Not SQL, or too deep for the parser, which has touched nothing but memory.
            if (error.ends_statement() || error.sqlstate() == ERRCODE_OUT_OF_MEMORY)
                throw;
            text.len = 0;
        }
    }
    if (text.len == 0)
        pg::call([&] { add_keyword(&text, lexer::scan(bytes, length, true), 0); });
    if (text.len == 0)
        return {};
    return std::string(text.data, static_cast<size_t>(text.len));
}

} // namespace wc::observe
