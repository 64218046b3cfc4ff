// The server's scanner, asked for tokens only.
#include "observe/lexer.hpp"

#include <algorithm>
#include <iterator>

extern "C" {
#include "common/keywords.h"
#include "parser/parser.h"
#include "parser/scanner.h"
}

namespace wc::observe::lexer {

namespace {

// Codes of the scanner's tokens. Each grammar above it has the same (scanner.h says so); those of keywords we number
// ourselves, from `keywords` on, by their place in the server's list.
enum Code : int {
    end_of_text = 0,
    identifier = 258,
    unicode_identifier,
    float_constant,
    string_constant,
    unicode_string_constant,
    bit_constant,
    hexadecimal_constant,
    operator_symbol,
    integer_constant,
    parameter,
    keywords = 1000
};

constexpr int most_keywords = 1024;

struct Keyword {
    const char *name;
    Word word;
};
constexpr Keyword words[] = {
    {"all", Word::All},       {"analyse", Word::Analyze}, {"analyze", Word::Analyze}, {"as", Word::As},
    {"copy", Word::Copy},     {"create", Word::Create},   {"data", Word::Data},       {"declare", Word::Declare},
    {"delete", Word::Delete}, {"explain", Word::Explain}, {"extract", Word::Extract}, {"false", Word::False},
    {"for", Word::For},       {"from", Word::From},       {"insert", Word::Insert},   {"is", Word::Is},
    {"limit", Word::Limit},   {"merge", Word::Merge},     {"nfc", Word::Nfc},         {"nfd", Word::Nfc},
    {"nfkc", Word::Nfc},      {"nfkd", Word::Nfc},        {"no", Word::No},           {"normalized", Word::Normalized},
    {"not", Word::Not},       {"null", Word::Null},       {"prepare", Word::Prepare}, {"select", Word::Select},
    {"table", Word::Table},   {"true", Word::True},       {"uescape", Word::Uescape}, {"update", Word::Update},
    {"values", Word::Values}, {"verbose", Word::Verbose}, {"view", Word::View},       {"with", Word::With}};

// Reserved words that end an operand, and others that don't; a name may be any other that isn't reserved.
constexpr const char *reserved_operands[] = {
    "current_catalog", "current_date", "current_role", "current_time", "current_timestamp",
    "current_user",    "default",      "end",          "false",        "localtime",
    "localtimestamp",  "null",         "session_user", "true",         "user"};
constexpr const char *operators_in_words[] = {"between", "by",   "escape", "first", "groups",   "ilike", "is",
                                              "join",    "like", "next",   "over",  "overlaps", "range", "rows"};

// What is known of each keyword, by its place in the server's list; filled in at first use.
struct {
    bool known;
    uint16 codes[most_keywords];
    Word word[most_keywords];
    bool ends_operand[most_keywords];
} list;

bool among(const char *name, const char *const *first, const char *const *last) {
    return std::any_of(first, last, [=](const char *each) { return strcmp(each, name) == 0; });
}

void learn_keywords() {
    if (ScanKeywords.num_keywords > most_keywords)
        elog(ERROR, "whitecross: the server has more keywords than %d", most_keywords);
    for (int i = 0; i < ScanKeywords.num_keywords; ++i) {
        const char *name = GetScanKeyword(i, &ScanKeywords);
        list.codes[i] = static_cast<uint16>(keywords + i);
        list.word[i] = Word::Other;
        for (const Keyword &each : words)
            if (strcmp(each.name, name) == 0)
                list.word[i] = each.word;
        list.ends_operand[i] = ScanKeywordCategories[i] == RESERVED_KEYWORD
                                   ? among(name, std::begin(reserved_operands), std::end(reserved_operands))
                                   : !among(name, std::begin(operators_in_words), std::end(operators_in_words));
    }
    list.known = true;
}

Token describe(int code, const core_YYSTYPE &value, const char *text, int start, int end) {
    Token token = {start, end, 0, Kind::Symbol, Word::Other, false};
    switch (code) {
    case identifier:
    case unicode_identifier:
        token.kind = Kind::Name;
        token.ends_operand = true;
        break;
    case float_constant:
    case string_constant:
    case unicode_string_constant:
    case bit_constant:
    case hexadecimal_constant:
    case integer_constant:
        token.kind = Kind::Constant;
        token.ends_operand = true;
        break;
    case parameter:
        token.kind = Kind::Parameter;
        token.value = value.ival;
        token.ends_operand = true;
        break;
    default:
        if (code >= keywords) {
            token.kind = Kind::Keyword;
            token.word = list.word[code - keywords];
            token.ends_operand = list.ends_operand[code - keywords];
        } else if (end - start == 1) {
            token.value = static_cast<unsigned char>(text[start]);
            token.ends_operand = token.value == ')' || token.value == ']';
        }
    }
    return token;
}

// Raises where the scanner does; what it has got by then is in `tokens`.
[[gnu::noinline]] void scan_raising(const char *text, int length, bool standard_strings, Tokens *tokens) {
    if (!list.known)
        learn_keywords();
    char *const copy = pnstrdup(text, static_cast<Size>(length));
    core_yy_extra_type extra;
    core_yyscan_t scanner = scanner_init(copy, &extra, &ScanKeywords, list.codes);
    extra.standard_conforming_strings = standard_strings;
    extra.backslash_quote = BACKSLASH_QUOTE_ON;
    extra.escape_string_warning = false;
    int room = 0;
    for (;;) {
        core_YYSTYPE value;
        YYLTYPE start = 0;
        const int code = core_yylex(&value, &start, scanner);
        if (code == end_of_text)
            break;
        if (tokens->count == room) {
            room = room == 0 ? 256 : 2 * room;
            tokens->items = static_cast<Token *>(
                tokens->items == nullptr ? palloc_extended(static_cast<Size>(room) * sizeof(Token), MCXT_ALLOC_HUGE)
                                         : repalloc_huge(tokens->items, static_cast<Size>(room) * sizeof(Token)));
        }
        // The scanner ends its buffer at the end of the token, until it is asked for the next.
        const int end = start + static_cast<int>(strlen(extra.scanbuf + start));
        tokens->items[tokens->count++] = describe(code, value, text, start, end);
    }
    scanner_finish(scanner);
    pfree(copy);
}

// Whether a plain string of it holds a backslash, which is where the two kinds of strings differ.
bool has_escapes(const Tokens &tokens) {
    for (int i = 0; i < tokens.count; ++i) {
        const Token &token = tokens.items[i];
        if (token.kind == Kind::Constant && tokens.text[token.start] == '\'' &&
            memchr(tokens.text + token.start, '\\', static_cast<Size>(token.end - token.start)) != nullptr)
            return true;
    }
    return false;
}

bool same(const Tokens &a, const Tokens &b) {
    return a.complete == b.complete && a.count == b.count &&
           std::equal(a.items, a.items + a.count, b.items, [](const Token &x, const Token &y) {
               return x.start == y.start && x.end == y.end && x.kind == y.kind;
           });
}

} // namespace

Quiet::Quiet() noexcept : client_(client_min_messages), log_(log_min_messages) {
    client_min_messages = ERROR;
    log_min_messages = std::max(log_min_messages, ERROR);
}

Quiet::~Quiet() {
    client_min_messages = client_;
    log_min_messages = log_;
}

Tokens scan(const char *text, int length, bool standard_strings) noexcept {
    Tokens tokens = {text, nullptr, 0, false, standard_strings};
    volatile bool complete = false;
    const MemoryContext memory = CurrentMemoryContext;
    const uint32 interrupts = InterruptHoldoffCount;
    const uint32 cancels = QueryCancelHoldoffCount;
    const int client = client_min_messages;
    const int log = log_min_messages;
    // Not an object with a destructor: the scanner's errors jump.
    client_min_messages = ERROR;
    log_min_messages = std::max(log, ERROR);
    PG_TRY();
    {
        error_context_stack = nullptr; // nobody will read what it would add
        scan_raising(text, length, standard_strings, &tokens);
        complete = true;
    }
    PG_CATCH();
    {
        // The scanner touches nothing but memory, so there is nothing to roll back.
        MemoryContextSwitchTo(memory);
        FlushErrorState();
        InterruptHoldoffCount = interrupts;
        QueryCancelHoldoffCount = cancels;
    }
    PG_END_TRY();
    client_min_messages = client;
    log_min_messages = log;
    tokens.complete = complete;
    return tokens;
}

Tokens scan_safely(const char *text, int length, bool likely, bool cut) noexcept {
    const Tokens first = scan(text, length, likely);
    if (first.complete && !has_escapes(first))
        return first;
    if (memchr(text, '\\', static_cast<Size>(length)) == nullptr)
        return first;
    const Tokens second = scan(text, length, !likely);
    if (same(first, second))
        return first;
    if (!cut && first.complete != second.complete)
        return first.complete ? first : second;
    return {text, nullptr, 0, false, likely};
}

} // namespace wc::observe::lexer
