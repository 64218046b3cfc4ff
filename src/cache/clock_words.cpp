// Dates and times that are written as a word.
#include "cache/clock_words.hpp"

#include "pg/compat.hpp"

extern "C" {
#include "nodes/nodeFuncs.h"
}

namespace wc::cache {

namespace {

bool is_letter(char c) {
    const char folded = static_cast<char>(pg_ascii_tolower(static_cast<unsigned char>(c)));
    return folded >= 'a' && folded <= 'z';
}

// Whether a text has one of the words in it, as what reads dates would see it: 'unknown' has none.
bool is_word_for_now(const char *text) {
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    for (const char *at = text; *at != '\0';) {
        size_t length = 0;
        while (is_letter(at[length]))
            ++length;
        for (const char *const word : words)
            if (length == strlen(word) && pg_strncasecmp(at, word, length) == 0)
                return true;
        at += length > 0 ? length : 1;
    }
    return false;
}

// Whether any string in a statement has one of the words in it.
bool has_word_for_now(Node *node, void *context) {
    if (node == nullptr)
        return false;
    if (IsA(node, A_Const)) {
        const auto *constant = reinterpret_cast<A_Const *>(node);
        if (constant->isnull || nodeTag(&constant->val) != T_String)
            return false;
        return is_word_for_now(strVal(&constant->val));
    }
    return raw_expression_tree_walker(node, pg::compat::walker(has_word_for_now), context);
}

} // namespace

bool tells_time_by_word(RawStmt *statement) {
    if (statement == nullptr)
        return false;
    switch (nodeTag(statement->stmt)) {
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
        return has_word_for_now(statement->stmt, nullptr);
    default:
        return true; // a utility statement: analysed as it runs, and not worth remembering
    }
}

// Constants of these types are what they were written as, whatever the time.
bool is_timeless(Oid type) {
    static const Oid types[] = {UNKNOWNOID,   TEXTOID,      VARCHAROID,   BPCHAROID,    NAMEOID,      CHAROID,
                                BOOLOID,      INT2OID,      INT4OID,      INT8OID,      FLOAT4OID,    FLOAT8OID,
                                NUMERICOID,   OIDOID,       JSONOID,      JSONBOID,     UUIDOID,      BYTEAOID,
                                INTERVALOID,  JSONPATHOID,  TEXTARRAYOID, INT4ARRAYOID, INT8ARRAYOID, VARCHARARRAYOID,
                                UUIDARRAYOID, REGCONFIGOID, TSQUERYOID};
    for (const Oid one : types)
        if (type == one)
            return true;
    return type_is_enum(type);
}

} // namespace wc::cache
