// A statement as tokens, by the server's own scanner. Plain server code for hot hooks: memory is the caller's context,
// and nothing is raised or told to the client, whatever the text.
#pragma once

#include "pg/prelude.hpp"

namespace wc::observe::lexer {

enum class Kind : uint8 {
    Name,      // an identifier, quoted or not
    Constant,  // a literal of any kind
    Parameter, // $n
    Keyword,   // any keyword of the grammar
    Symbol     // operators and punctuation
};

// The keywords that normalising has to know.
enum class Word : uint8 {
    Other,
    All,
    As,
    Copy,
    Create,
    Data,
    Declare,
    Delete,
    Explain,
    Extract,
    False,
    For,
    From,
    Insert,
    Is,
    Limit,
    Merge,
    Nfc, // and NFD, NFKC, NFKD
    No,
    Normalized,
    Not,
    Null,
    Prepare,
    Select,
    Table,
    True,
    Uescape,
    Update,
    Values,
    Verbose,
    Analyze,
    View,
    With
};

struct Token {
    int start; // in bytes from the beginning of the text
    int end;   //
    int value; // of a Parameter its number, of a Symbol of one character that character, else 0
    Kind kind;
    Word word;         // of a Keyword
    bool ends_operand; // after it a minus subtracts, before it a minus belongs to the constant
};

struct Tokens {
    const char *text;
    Token *items;
    int count;
    bool complete; // false: the scanner gave up at the end of the last one
    bool standard; // by which standard_conforming_strings
};

// The tokens of the first `length` bytes of a text.
Tokens scan(const char *text, int length, bool standard_strings) noexcept;

// The same where it isn't known for sure which standard_conforming_strings the text was written for (a session may set
// it between the parsing of a text and now): `likely` is tried first. No tokens, not complete, where it makes a
// difference which of the two and both can be; with `cut`, the text may end within a token and so not be complete.
Tokens scan_safely(const char *text, int length, bool likely, bool cut) noexcept;

// While it lives, neither client nor log is told of notices and warnings: the scanner has some (a name too long), which
// the server's own scanning of the same text has given already.
class Quiet {
  public:
    Quiet() noexcept;
    Quiet(const Quiet &) = delete;
    Quiet &operator=(const Quiet &) = delete;
    ~Quiet();

  private:
    int client_;
    int log_;
};

} // namespace wc::observe::lexer
