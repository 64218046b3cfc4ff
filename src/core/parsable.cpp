// Normalised statements that the parser can read. There are no constants and no comments in one: only words, quoted
// names, parameters and signs.
#include "core/parsable.hpp"

#include <algorithm>
#include <cctype>
#include <set>

namespace wc::core {

namespace {

enum class Kind { Word, Quoted, Parameter, Sign };

struct Token {
    Kind kind;
    size_t start;
    size_t end;
    std::string word; // in lower case; of a sign itself
};

bool begins_word(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80) != 0;
}
bool in_word(char c) {
    return begins_word(c) || std::isdigit(static_cast<unsigned char>(c)) || c == '$';
}

std::vector<Token> tokens_of(std::string_view text) {
    std::vector<Token> tokens;
    for (size_t i = 0; i < text.size();) {
        const size_t start = i;
        const char c = text[i];
        if (std::isspace(static_cast<unsigned char>(c))) {
            ++i;
            continue;
        }
        Kind kind = Kind::Sign;
        ++i;
        if (c == '"') {
            kind = Kind::Quoted;
            while (i < text.size() && text[i] != '"')
                ++i; // a doubled quote begins the next part of the same name, which is as good as another name
            i = std::min(i + 1, text.size());
        } else if (c == '$' && i < text.size() && std::isdigit(static_cast<unsigned char>(text[i]))) {
            kind = Kind::Parameter;
            while (i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])))
                ++i;
        } else if (begins_word(c)) {
            kind = Kind::Word;
            while (i < text.size() && in_word(text[i]))
                ++i;
        }
        std::string word(text.substr(start, i - start));
        if (kind == Kind::Word)
            std::transform(word.begin(), word.end(), word.begin(),
                           [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
        tokens.push_back({kind, start, i, std::move(word)});
    }
    return tokens;
}

// Words that only a type begins with which may have a constant behind it; other names of types (date, uuid) are names
// as any other, and before a constant nothing but a type's name can stand.
const std::set<std::string, std::less<>> &types_with_modifiers() {
    static const std::set<std::string, std::less<>> words = {"varchar", "char",     "character", "nchar", "varying",
                                                             "bit",     "dec",      "decimal",   "float", "numeric",
                                                             "time",    "interval", "timestamp"};
    return words;
}

// Words of the grammar that can stand before a constant which isn't the value of a type.
bool is_keyword(const std::string &word) {
    static const std::set<std::string, std::less<>> words = {
        "all",         "and",      "any",      "array",     "as",      "asymmetric", "between",  "both",
        "by",          "case",     "cast",     "check",     "default", "desc",       "distinct", "do",
        "else",        "end",      "escape",   "except",    "exists",  "fetch",      "filter",   "first",
        "following",   "for",      "from",     "group",     "having",  "ilike",      "in",       "intersect",
        "is",          "isnull",   "join",     "lateral",   "leading", "like",       "limit",    "next",
        "not",         "notnull",  "null",     "of",        "offset",  "on",         "only",     "or",
        "order",       "over",     "overlaps", "partition", "placing", "preceding",  "range",    "repeatable",
        "returning",   "row",      "rows",     "select",    "set",     "similar",    "some",     "symmetric",
        "tablesample", "then",     "to",       "trailing",  "uescape", "union",      "using",    "values",
        "when",        "where",    "window",   "with",      "within",  "xmlelement", "passing",  "zone",
        "groups",      "operator", "collate",  "into",      "update",  "delete",     "insert",   "materialized",
        "cycle",       "search",   "asc",      "nulls",     "last",    "unknown",    "true",     "false",
        "document",    "content",  "name",     "version"};
    return words.contains(word);
}

// Where a type's name ends at tokens[last], the token that it begins at; tokens.size(): it is no type's name.
size_t type_before(const std::vector<Token> &tokens, size_t last) {
    const auto is = [&](size_t back, const char *word) { return last >= back && tokens[last - back].word == word; };
    if (is(0, "zone") && is(1, "time") && (is(2, "with") || is(2, "without")) && (is(3, "time") || is(3, "timestamp")))
        return last - 3;
    if (is(0, "precision") && is(1, "double"))
        return last - 1;
    if (is(0, "varying") && (is(1, "character") || is(1, "bit")))
        return last - 1;
    const Token &name = tokens[last];
    if (name.kind == Kind::Sign || name.kind == Kind::Parameter || (name.kind == Kind::Word && is_keyword(name.word)))
        return tokens.size();
    if (last >= 2 && tokens[last - 1].word == "." && tokens[last - 2].kind != Kind::Sign)
        return last - 2;
    return last;
}

} // namespace

std::string parsable(std::string_view normalised) {
    const std::vector<Token> tokens = tokens_of(normalised);
    struct Change {
        size_t start;
        size_t end;
        std::string text;
    };
    std::vector<Change> changes;
    for (size_t i = 1; i < tokens.size(); ++i) {
        if (tokens[i].kind == Kind::Parameter) {
            const size_t type = type_before(tokens, i - 1);
            if (type == tokens.size())
                continue;
            const size_t start = tokens[type].start;
            const std::string name(normalised.substr(start, tokens[i - 1].end - start));
            changes.push_back({start, tokens[i].end, "CAST(" + tokens[i].word + " AS " + name + ")"});
        } else if (tokens[i].word == "(" && types_with_modifiers().contains(tokens[i - 1].word)) {
            size_t end = i + 1;
            while (end + 1 < tokens.size() && tokens[end].kind == Kind::Parameter && tokens[end + 1].word == ",")
                end += 2;
            if (end + 1 < tokens.size() && tokens[end].kind == Kind::Parameter && tokens[end + 1].word == ")")
                changes.push_back({tokens[i].start, tokens[end + 1].end, ""});
        }
    }
    std::string text;
    size_t copied = 0;
    for (const Change &change : changes) {
        if (change.start < copied)
            continue;
        text.append(normalised.substr(copied, change.start - copied));
        text.append(change.text);
        copied = change.end;
    }
    text.append(normalised.substr(copied));
    return text;
}

std::vector<int> parameters_near(std::string_view statement, size_t position) {
    std::vector<int> behind;
    std::vector<int> before;
    for (const Token &token : tokens_of(statement))
        if (token.kind == Kind::Parameter && token.word.size() < 7)
            (token.start >= position ? behind : before).push_back(std::stoi(token.word.substr(1)));
    std::reverse(before.begin(), before.end());
    std::vector<int> all;
    for (const std::vector<int> *const part : {&behind, &before})
        for (const int number : *part)
            if (std::find(all.begin(), all.end(), number) == all.end())
                all.push_back(number);
    return all;
}

} // namespace wc::core
