// Arguments of wc_cached() and wc_cached_json().
#include "cache/parameters.hpp"

#include "cache/store.hpp"

extern "C" {
#include "datatype/timestamp.h"
#include "utils/array.h"
}

namespace wc::cache {

namespace {

void require(FunctionCallInfo fcinfo, int index, const char *name, const char *hint) {
    if (PG_ARGISNULL(index))
        throw pg::Error(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string(name) + " must not be null", {}, hint);
}

// As long as it is where a month has 30 days and a day 24 hours, in whole milliseconds, rounded up.
int64 milliseconds(const Interval &interval) {
    const int64 days = static_cast<int64>(interval.month) * DAYS_PER_MONTH + interval.day;
    const int64 rest = interval.time / 1000 + (interval.time % 1000 > 0 ? 1 : 0);
    return days * (SECS_PER_DAY * INT64CONST(1000)) + rest;
}

void read_values(FunctionCallInfo fcinfo, int index, Parameters &out) {
    struct List {
        const char **values;
        int count;
        int dimensions;
    };
    const List list = pg::call([=] {
        List found = {};
        ArrayType *const array = PG_GETARG_ARRAYTYPE_P(index);
        found.dimensions = ARR_NDIM(array);
        Datum *datums;
        bool *nulls;
        deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &datums, &nulls, &found.count);
        found.values = static_cast<const char **>(palloc0(sizeof(char *) * (found.count + 1)));
        for (int i = 0; i < found.count; ++i)
            if (!nulls[i])
                found.values[i] = TextDatumGetCString(datums[i]);
        return found;
    });
    if (list.dimensions > 1)
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "params must be a plain list", {},
                        "Give an array of texts, not of arrays; the text form of an array is one text.");
    out.values = list.values;
    out.count = list.count;
}

std::string_view read_text(FunctionCallInfo fcinfo, int index) {
    return pg::call([=] { return std::string_view(text_to_cstring(PG_GETARG_TEXT_PP(index))); });
}

} // namespace

Parameters read_parameters(FunctionCallInfo fcinfo, int first) {
    Parameters out;
    require(fcinfo, first, "query", "Give the text of a query.");
    require(fcinfo, first + 1, "params", "Give an empty array for a query without parameters.");
    require(fcinfo, first + 2, "ttl", "Give how long the rows may be kept, or leave ttl out.");
    out.query = read_text(fcinfo, first);
    read_values(fcinfo, first + 1, out);
    const Interval &ttl = *PG_GETARG_INTERVAL_P(first + 2);
    out.ttl_ms = milliseconds(ttl);
    if (out.ttl_ms <= 0)
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "ttl must be greater than zero", {},
                        "Run the query itself where its rows are not to be kept.");
    if (out.ttl_ms > longest_ttl_ms)
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "ttl must not be longer than 30 days", {},
                        "Rows go when a table that they were read from is written, however long they may be kept.");
    if (!PG_ARGISNULL(first + 3)) {
        out.tag = read_text(fcinfo, first + 3);
        if (out.tag.size() > store::longest_tag)
            throw pg::Error(ERRCODE_STRING_DATA_RIGHT_TRUNCATION, "tag is too long",
                            "A tag has at most " + std::to_string(store::longest_tag) + " bytes.",
                            "Give a short word that tells what rows are for, such as the name of a page.");
    }
    return out;
}

} // namespace wc::cache
