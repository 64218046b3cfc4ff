// Tokens without values.
#include "observe/normalise.hpp"

#include <algorithm>

extern "C" {
#include "mb/pg_wchar.h"
}

namespace wc::observe::normalise {

namespace {

using lexer::Kind;
using lexer::Token;
using lexer::Tokens;
using lexer::Word;

bool symbol(const Token &token, char character) {
    return token.kind == Kind::Symbol && token.value == character;
}

// Looks at the tokens of a range around one of them; outside of it there is nothing.
struct Around {
    const Tokens &tokens;
    Range range;
    [[nodiscard]] const Token *at(int i) const {
        return i >= range.first && i < range.last ? tokens.items + i : nullptr;
    }
    [[nodiscard]] bool is(int i, Word word) const {
        const Token *token = at(i);
        return token != nullptr && token->kind == Kind::Keyword && token->word == word;
    }
    [[nodiscard]] bool is(int i, char character) const {
        const Token *token = at(i);
        return token != nullptr && symbol(*token, character);
    }
    [[nodiscard]] bool ends_operand(int i) const {
        const Token *token = at(i);
        return token != nullptr && token->ends_operand;
    }
    [[nodiscard]] bool is_number(int i) const {
        const Token *token = at(i);
        return token != nullptr && token->kind == Kind::Constant &&
               (tokens.text[token->start] == '.' ||
                (tokens.text[token->start] >= '0' && tokens.text[token->start] <= '9'));
    }
    [[nodiscard]] bool is_cast(int i) const {
        const Token *token = at(i);
        return token != nullptr && token->end - token->start == 2 && memcmp(tokens.text + token->start, "::", 2) == 0;
    }
};

// NULL, TRUE and FALSE are constants, but not in a test (IS NOT NULL), nor where NULL follows what is complete: it is
// then a property of a column (XMLTABLE).
bool constant_word(const Around &around, int i) {
    const int before = around.is(i - 1, Word::Not) ? i - 2 : i - 1;
    if (around.is(before, Word::Is))
        return false;
    return !(around.is(i, Word::Null) && around.ends_operand(before));
}

// How many tokens, from one on, are one constant: 0 for none.
int constant_length(const Around &around, int i) {
    const Token &token = *around.at(i);
    switch (token.kind) {
    case Kind::Constant:
        // U&'...' UESCAPE '!': the escape character belongs to the constant.
        if ((around.tokens.text[token.start] == 'U' || around.tokens.text[token.start] == 'u') &&
            around.is(i + 1, Word::Uescape) && around.at(i + 2) != nullptr && around.at(i + 2)->kind == Kind::Constant)
            return 3;
        return 1;
    case Kind::Symbol:
        // The sign of a number, where the grammar makes them one. Not before a cast, which binds more tightly.
        return token.value == '-' && !around.ends_operand(i - 1) && around.is_number(i + 1) && !around.is_cast(i + 2)
                   ? 2
                   : 0;
    case Kind::Keyword:
        switch (token.word) {
        case Word::Null:
        case Word::True:
        case Word::False:
            return constant_word(around, i) ? 1 : 0;
        case Word::All: // LIMIT ALL is LIMIT NULL
            return around.is(i - 1, Word::Limit) ? 1 : 0;
        case Word::Nfc: // normalize(x, NFC), x IS NFC NORMALIZED
            return around.is(i + 1, Word::Normalized) || (around.is(i - 1, ',') && around.is(i + 1, ')')) ? 1 : 0;
        default:
            break;
        }
        [[fallthrough]];
    case Kind::Name:
        // EXTRACT(year FROM x): a text to the grammar, whether in quotes or not.
        return around.is(i - 2, Word::Extract) && around.is(i - 1, '(') && around.is(i + 1, Word::From) ? 1 : 0;
    case Kind::Parameter:
        return 0;
    }
    return 0;
}

// A text that grows up to a limit.
class Writer {
  public:
    explicit Writer(int limit) : limit_(limit) {}
    [[nodiscard]] bool full() const { return full_; }
    void add(const char *bytes, int length) {
        if (full_)
            return;
        if (length > limit_ - text_.length) {
            length = pg_mbcliplen(bytes, length, limit_ - text_.length);
            full_ = true;
        }
        if (const auto needed = static_cast<Size>(text_.length) + static_cast<Size>(length); needed > room_) {
            room_ = std::max(2 * room_, needed + 512);
            text_.bytes = static_cast<char *>(text_.bytes == nullptr ? palloc_extended(room_, MCXT_ALLOC_HUGE)
                                                                     : repalloc_huge(text_.bytes, room_));
        }
        if (length > 0)
            memcpy(text_.bytes + text_.length, bytes, static_cast<Size>(length));
        text_.length += length;
    }
    [[nodiscard]] Text text() const { return text_; }

  private:
    int limit_;
    Size room_ = 0;
    Text text_ = {nullptr, 0};
    bool full_ = false;
};

bool white(const char *from, const char *to) {
    return std::all_of(
        from, to, [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; });
}

int closing(const Tokens &tokens, Range range, int opening) {
    int depth = 0;
    for (int i = opening; i < range.last; ++i) {
        if (symbol(tokens.items[i], '('))
            ++depth;
        else if (symbol(tokens.items[i], ')') && --depth == 0)
            return i;
    }
    return -1;
}

// The first such word outside of parentheses, after which a query begins.
int outer_word(const Tokens &tokens, Range range, Word word) {
    int depth = 0;
    for (int i = range.first; i < range.last; ++i) {
        const Token &token = tokens.items[i];
        if (symbol(token, '('))
            ++depth;
        else if (symbol(token, ')'))
            --depth;
        else if (depth == 0 && token.kind == Kind::Keyword && token.word == word)
            return i;
    }
    return -1;
}

// What follows a word, without the WITH [NO] DATA that may end CREATE TABLE AS.
Range after(const Around &around, int position) {
    if (position < 0)
        return {};
    Range inner = {position + 1, around.range.last};
    if (around.is(inner.last - 1, Word::Data)) {
        if (around.is(inner.last - 2, Word::With))
            inner.last -= 2;
        else if (around.is(inner.last - 2, Word::No) && around.is(inner.last - 3, Word::With))
            inner.last -= 3;
    }
    return query_within(around.tokens, inner);
}

Range explained(const Around &around) {
    Range inner = {around.range.first + 1, around.range.last};
    // Options in parentheses, or the query is.
    if (around.is(inner.first, '(') && around.at(inner.first + 1) != nullptr &&
        !begins_query(*around.at(inner.first + 1))) {
        const int end = closing(around.tokens, inner, inner.first);
        if (end < 0)
            return {};
        inner.first = end + 1;
    } else {
        while (around.is(inner.first, Word::Analyze) || around.is(inner.first, Word::Verbose))
            ++inner.first;
    }
    return query_within(around.tokens, inner);
}

} // namespace

bool begins_query(const Token &token) {
    if (token.kind != Kind::Keyword)
        return symbol(token, '(');
    switch (token.word) {
    case Word::Select:
    case Word::Insert:
    case Word::Update:
    case Word::Delete:
    case Word::Merge:
    case Word::With:
    case Word::Values:
    case Word::Table:
        return true;
    default:
        return false;
    }
}

Range query_within(const Tokens &tokens, Range statement) {
    if (statement.empty())
        return {};
    const Token &begin = tokens.items[statement.first];
    if (begins_query(begin))
        return statement;
    if (begin.kind != Kind::Keyword)
        return {};
    const Around around = {tokens, statement};
    switch (begin.word) {
    case Word::Explain:
        return explained(around);
    case Word::Declare:
        return after(around, outer_word(tokens, statement, Word::For));
    case Word::Create:
    case Word::Prepare:
        return after(around, outer_word(tokens, statement, Word::As));
    case Word::Copy: {
        const int opening = statement.first + 1;
        const int end = around.is(opening, '(') ? closing(tokens, statement, opening) : -1;
        return end < 0 ? Range{} : query_within(tokens, {opening + 1, end});
    }
    default:
        return {};
    }
}

Text write(const Tokens &tokens, Range range, int limit) {
    int64 number = 0;
    for (int i = range.first; i < range.last; ++i)
        if (tokens.items[i].kind == Kind::Parameter)
            number = std::max<int64>(number, tokens.items[i].value);

    Writer writer(limit);
    const Around around = {tokens, range};
    for (int i = range.first; i < range.last && !writer.full();) {
        const Token &token = tokens.items[i];
        if (i > range.first) {
            const char *const from = tokens.text + tokens.items[i - 1].end;
            const char *const to = tokens.text + token.start;
            if (white(from, to))
                writer.add(from, static_cast<int>(to - from));
            else
                writer.add(" ", 1);
        }
        const int length = constant_length(around, i);
        if (length == 0) {
            writer.add(tokens.text + token.start, token.end - token.start);
            ++i;
        } else {
            char symbol_of_it[24];
            const int written = snprintf(symbol_of_it, sizeof symbol_of_it, "$%lld", static_cast<long long>(++number));
            writer.add(symbol_of_it, written);
            i += length;
        }
    }
    return writer.text();
}

} // namespace wc::observe::normalise
