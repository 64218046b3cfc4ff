// The settings that decide what a text means, and what its rows are and print.
//
// In: whatever the parser, an input or output function, or a function of stable_functions.cpp reads. Out: what decides
// only how rows are found (enable_*, work_mem, jit, parallel workers, collapse limits), in which order they come where
// the query asks for none (synchronize_seqscans), how long it may take, what is logged and in which language errors are
// told (lc_messages); row_security, since a query that it concerns is refused; lc_collate, lc_ctype and the server's
// encoding, which are the database's. Settings of other extensions are read by functions that these have to declare
// STABLE, and which are refused for that.
#include "cache/settings_seen.hpp"

extern "C" {
#include "access/gin.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "mb/pg_wchar.h"
#include "parser/parse_expr.h"
#include "parser/parser.h"
#include "pgtime.h"
#include "tsearch/ts_cache.h"
#include "utils/array.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/pg_locale.h"
#include "utils/xml.h"
}

namespace wc::cache {

namespace {

// With its end, so that two texts one after the other can't be two others.
void append_text(std::string &out, const char *text) {
    if (text != nullptr)
        out.append(text);
    out.push_back('\0');
}

} // namespace

void append_settings(std::string &out) {
    const int32 numbers[] = {
        // What the text means.
        standard_conforming_strings,
        backslash_quote,
        Transform_null_equals,
        SessionReplicationRole, // which rules rewrite it
        // What values are read from texts, and print.
        DateStyle,
        DateOrder,
        IntervalStyle,
        extra_float_digits,
        bytea_output,
        xmlbinary,
        xmloption,
        Array_nulls,
        quote_all_identifiers,
        pg_get_client_encoding(),
        // What is found.
        static_cast<int32>(GinFuzzySearchLimit),
    };
    out.append(reinterpret_cast<const char *>(numbers), sizeof(numbers));
    append_text(out, pg_get_timezone_name(session_timezone));
    append_text(out, GetConfigOption("timezone_abbreviations", true, false));
    append_text(out, locale_monetary);
    append_text(out, locale_numeric);
    append_text(out, locale_time);
    append_text(out, TSCurrentConfig);
    append_text(out, namespace_search_path);
}

} // namespace wc::cache
