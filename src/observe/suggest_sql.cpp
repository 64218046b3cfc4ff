// SQL-visible functions of index suggestions: thin, no logic.
#include "observe/suggest.hpp"

#include "pg/function.hpp"

#include <charconv>

using namespace wc;
using namespace wc::observe;

namespace {

int64_t number(const std::string &text, const char *argument) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, std::string(argument) + " must be whole numbers", {},
                        std::string("Give ") + argument + " as numbers in text form.");
    return value;
}

// Arguments 0 to 3: statements, calls, roles (OIDs; NULL: the caller's), ids.
std::vector<PatternIn> patterns(FunctionCallInfo fcinfo) {
    const std::vector<std::string> texts = pg::required_texts(fcinfo, 0, "statements");
    const std::vector<std::string> calls = pg::required_texts(fcinfo, 1, "calls");
    const bool of_roles = !PG_ARGISNULL(2);
    const std::vector<std::string> roles =
        of_roles ? pg::required_texts(fcinfo, 2, "roles") : std::vector<std::string>();
    const std::vector<std::string> ids = pg::required_texts(fcinfo, 3, "ids");
    if (calls.size() != texts.size() || ids.size() != texts.size() || (of_roles && roles.size() != texts.size()))
        throw pg::Error(ERRCODE_ARRAY_SUBSCRIPT_ERROR, "there must be as many calls as statements", {},
                        "Give one number of calls for each statement.");
    std::vector<PatternIn> all;
    for (size_t i = 0; i < texts.size(); ++i)
        all.push_back({texts[i], number(calls[i], "calls"),
                       of_roles ? static_cast<Oid>(number(roles[i], "roles")) : InvalidOid, number(ids[i], "ids")});
    return all;
}

std::string array(const std::vector<int64_t> &values) {
    std::string text;
    for (const int64_t value : values)
        text += (text.empty() ? "" : ",") + std::to_string(value);
    return "{" + text + "}";
}

std::string array(const std::vector<std::string> &values) {
    std::string text;
    for (const std::string &value : values) {
        text += text.empty() ? "\"" : ",\"";
        for (const char c : value)
            text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
        text += '"';
    }
    return "{" + text + "}";
}

std::string rounded(double value) {
    char text[64];
    (void)std::snprintf(text, sizeof text, "%.2f", value);
    return text;
}

} // namespace

// Arguments 4 to 6: min_gain_percent, min_table_rows, search_path. Errors: 55000 without hypopg, 22004, 22023.
WC_FUNCTION(wc_search_indexes) {
    const SuggestOptions options{PG_ARGISNULL(4) ? 0 : PG_GETARG_FLOAT8(4),
                                 PG_ARGISNULL(5) ? -1 : static_cast<double>(PG_GETARG_INT64(5)),
                                 pg::required_text(fcinfo, 6, "search_path")};
    std::vector<Suggestion> found;
    {
        pg::Spi spi;
        found = suggest(spi, patterns(fcinfo), options);
    }
    pg::ResultSet result(fcinfo);
    for (const Suggestion &each : found)
        result.add({each.table, array(each.columns), each.definition, std::to_string(each.statements),
                    std::to_string(each.calls), rounded(each.cost_before), rounded(each.cost_after),
                    rounded(100 * (each.cost_before - each.cost_after) / each.cost_before), std::to_string(each.size),
                    std::to_string(each.writes), array(each.ids), each.reason});
    return result.done();
}

// Argument 4: search_path. Errors: 22004, 22023.
WC_FUNCTION(wc_unjudged_statements) {
    SuggestOptions options;
    options.search_path = pg::required_text(fcinfo, 4, "search_path");
    std::vector<LeftOut> found;
    {
        pg::Spi spi;
        found = left_out(spi, patterns(fcinfo), options);
    }
    pg::ResultSet result(fcinfo);
    for (const LeftOut &each : found)
        result.add({each.reason, std::to_string(each.statements), std::to_string(each.calls), array(each.ids)});
    return result.done();
}
