// Functions of the server's own that may be called by what is cached although they are STABLE. By OID: these are fixed.
//
// Not here, though STABLE for no other reason than settings: what reads dates and times from text ('now'), input
// functions of arrays, records, ranges and domains (their members'), jsonb_path_*_tz (a time with a zone has today's
// offset), conversions of encodings (found by name), and what returns a setting itself.
#include "cache/stable_functions.hpp"

#include <algorithm>
#include <array>

namespace wc::cache {

namespace {

struct Known {
    Oid function;
    Stable kind;
};

// test/t/179_cacheable.pl compares this list with pg_proc.
constexpr Known listed[] = {
    // Comparisons of a time with a zone and one without: they read TimeZone.
    {2351, Stable::Settings}, // date_lt_timestamptz(date, timestamptz)
    {2352, Stable::Settings}, // date_le_timestamptz(date, timestamptz)
    {2353, Stable::Settings}, // date_eq_timestamptz(date, timestamptz)
    {2354, Stable::Settings}, // date_gt_timestamptz(date, timestamptz)
    {2355, Stable::Settings}, // date_ge_timestamptz(date, timestamptz)
    {2356, Stable::Settings}, // date_ne_timestamptz(date, timestamptz)
    {2357, Stable::Settings}, // date_cmp_timestamptz(date, timestamptz)
    {2377, Stable::Settings}, // timestamptz_lt_date(timestamptz, date)
    {2378, Stable::Settings}, // timestamptz_le_date(timestamptz, date)
    {2379, Stable::Settings}, // timestamptz_eq_date(timestamptz, date)
    {2380, Stable::Settings}, // timestamptz_gt_date(timestamptz, date)
    {2381, Stable::Settings}, // timestamptz_ge_date(timestamptz, date)
    {2382, Stable::Settings}, // timestamptz_ne_date(timestamptz, date)
    {2383, Stable::Settings}, // timestamptz_cmp_date(timestamptz, date)
    {2520, Stable::Settings}, // timestamp_lt_timestamptz(timestamp, timestamptz)
    {2521, Stable::Settings}, // timestamp_le_timestamptz(timestamp, timestamptz)
    {2522, Stable::Settings}, // timestamp_eq_timestamptz(timestamp, timestamptz)
    {2523, Stable::Settings}, // timestamp_gt_timestamptz(timestamp, timestamptz)
    {2524, Stable::Settings}, // timestamp_ge_timestamptz(timestamp, timestamptz)
    {2525, Stable::Settings}, // timestamp_ne_timestamptz(timestamp, timestamptz)
    {2526, Stable::Settings}, // timestamp_cmp_timestamptz(timestamp, timestamptz)
    {2527, Stable::Settings}, // timestamptz_lt_timestamp(timestamptz, timestamp)
    {2528, Stable::Settings}, // timestamptz_le_timestamp(timestamptz, timestamp)
    {2529, Stable::Settings}, // timestamptz_eq_timestamp(timestamptz, timestamp)
    {2530, Stable::Settings}, // timestamptz_gt_timestamp(timestamptz, timestamp)
    {2531, Stable::Settings}, // timestamptz_ge_timestamp(timestamptz, timestamp)
    {2532, Stable::Settings}, // timestamptz_ne_timestamp(timestamptz, timestamp)
    {2533, Stable::Settings}, // timestamptz_cmp_timestamp(timestamptz, timestamp)
    // Conversions between them, arithmetic with days, parts: TimeZone. Not timetz(time), which needs today's offset.
    {939, Stable::Settings},  // generate_series(timestamptz, timestamptz, interval)
    {1171, Stable::Settings}, // date_part(text, timestamptz)
    {1174, Stable::Settings}, // timestamptz(date)
    {1176, Stable::Settings}, // timestamptz(date, time)
    {1178, Stable::Settings}, // date(timestamptz)
    {1189, Stable::Settings}, // timestamptz_pl_interval(timestamptz, interval)
    {1190, Stable::Settings}, // timestamptz_mi_interval(timestamptz, interval)
    {1217, Stable::Settings}, // date_trunc(text, timestamptz)
    {1284, Stable::Settings}, // date_trunc(text, timestamptz, text)
    {1305, Stable::Settings}, // overlaps(timestamptz, interval, timestamptz, interval)
    {1306, Stable::Settings}, // overlaps(timestamptz, timestamptz, timestamptz, interval)
    {1307, Stable::Settings}, // overlaps(timestamptz, interval, timestamptz, timestamptz)
    {1388, Stable::Settings}, // timetz(timestamptz)
    {2019, Stable::Settings}, // time(timestamptz)
    {2027, Stable::Settings}, // timestamp(timestamptz)
    {2028, Stable::Settings}, // timestamptz(timestamp)
    {2549, Stable::Settings}, // interval_pl_timestamptz(interval, timestamptz)
    {3462, Stable::Settings}, // make_timestamptz(year integer, month integer, mday integer, hour integer, min integer
    {3463, Stable::Settings}, // make_timestamptz(year integer, month integer, mday integer, hour integer, min integer
    {4135, Stable::Settings}, // in_range(timestamptz, timestamptz, interval, boolean, boolean)
    {6203, Stable::Settings}, // extract(text, timestamptz)
    // Templates: TimeZone, timezone_abbreviations, lc_time, lc_numeric, lc_monetary.
    {1768, Stable::Settings}, // to_char(interval, text)
    {1770, Stable::Settings}, // to_char(timestamptz, text)
    {1772, Stable::Settings}, // to_char(numeric, text)
    {1773, Stable::Settings}, // to_char(integer, text)
    {1774, Stable::Settings}, // to_char(bigint, text)
    {1775, Stable::Settings}, // to_char(real, text)
    {1776, Stable::Settings}, // to_char(double precision, text)
    {1777, Stable::Settings}, // to_number(text, text)
    {1778, Stable::Settings}, // to_timestamp(text, text)
    {1780, Stable::Settings}, // to_date(text, text)
    {2049, Stable::Settings}, // to_char(timestamp, text)
    // Money: lc_monetary.
    {886, Stable::Settings},  // cash_in(cstring)
    {887, Stable::Settings},  // cash_out(money)
    {3811, Stable::Settings}, // money(integer)
    {3812, Stable::Settings}, // money(bigint)
    {3823, Stable::Settings}, // numeric(money)
    {3824, Stable::Settings}, // money(numeric)
    // What dates, times and intervals print, and intervals read: DateStyle, IntervalStyle, TimeZone. What reads dates
    // and
    // times understands 'now'.
    {1085, Stable::Settings}, // date_out(date)
    {1151, Stable::Settings}, // timestamptz_out(timestamptz)
    {1160, Stable::Settings}, // interval_in(cstring, oid, integer)
    {1161, Stable::Settings}, // interval_out(interval)
    {1313, Stable::Settings}, // timestamp_out(timestamp)
    // Labels of enums: pg_enum, a change of which moves the rules.
    {3505, Stable::Settings}, // anyenum_out(anyenum)
    {3506, Stable::Settings}, // enum_in(cstring, oid)
    {3507, Stable::Settings}, // enum_out(anyenum)
    {3528, Stable::Settings}, // enum_first(anyenum)
    {3529, Stable::Settings}, // enum_last(anyenum)
    {3530, Stable::Settings}, // enum_range(anyenum, anyenum)
    {3531, Stable::Settings}, // enum_range(anyenum)
    // Text search: default_text_search_config; configurations and dictionaries are rules too.
    {3749, Stable::Settings}, // to_tsvector(text)
    {3750, Stable::Settings}, // to_tsquery(text)
    {3751, Stable::Settings}, // plainto_tsquery(text)
    {3754, Stable::Settings}, // ts_headline(text, tsquery, text)
    {3755, Stable::Settings}, // ts_headline(text, tsquery)
    {3760, Stable::Settings}, // ts_match_tt(text, text)
    {3761, Stable::Settings}, // ts_match_tq(text, tsquery)
    {4203, Stable::Settings}, // ts_headline(jsonb, tsquery, text)
    {4204, Stable::Settings}, // ts_headline(jsonb, tsquery)
    {4207, Stable::Settings}, // ts_headline(json, tsquery, text)
    {4208, Stable::Settings}, // ts_headline(json, tsquery)
    {4209, Stable::Settings}, // to_tsvector(jsonb)
    {4210, Stable::Settings}, // to_tsvector(json)
    {4213, Stable::Settings}, // jsonb_to_tsvector(jsonb, jsonb)
    {4215, Stable::Settings}, // json_to_tsvector(json, jsonb)
    {5001, Stable::Settings}, // phraseto_tsquery(text)
    {5009, Stable::Settings}, // websearch_to_tsquery(text)
    // XML: xmloption.
    {2893, Stable::Settings}, // xml_in(cstring)
    {2896, Stable::Settings}, // xml(text)
    {3051, Stable::Settings}, // xml_is_well_formed(text)
    // Without arguments there is nothing to print.
    {3199, Stable::Settings}, // json_build_array()
    {3201, Stable::Settings}, // json_build_object()
    {3272, Stable::Settings}, // jsonb_build_array()
    {3274, Stable::Settings}, // jsonb_build_object()
    {3540, Stable::Settings}, // format(text)
    // Arrays, records, ranges as text: the members' output functions.
    {384, Stable::Prints},  // array_to_string(anyarray, text, text)
    {395, Stable::Prints},  // array_to_string(anyarray, text)
    {751, Stable::Prints},  // array_out(anyarray)
    {2291, Stable::Prints}, // record_out(record)
    {2297, Stable::Prints}, // anyarray_out(anyarray)
    {3833, Stable::Prints}, // anyrange_out(anyrange)
    {3835, Stable::Prints}, // range_out(anyrange)
    {4227, Stable::Prints}, // anycompatiblemultirange_out(anycompatiblemultirange)
    {4230, Stable::Prints}, // anymultirange_out(anymultirange)
    {4232, Stable::Prints}, // multirange_out(anymultirange)
    {5089, Stable::Prints}, // anycompatiblearray_out(anycompatiblearray)
    {5095, Stable::Prints}, // anycompatiblerange_out(anycompatiblerange)
    // As JSON: the members' output functions, or casts to json.
    {3153, Stable::Prints}, // array_to_json(anyarray)
    {3154, Stable::Prints}, // array_to_json(anyarray, boolean)
    {3155, Stable::Prints}, // row_to_json(record)
    {3156, Stable::Prints}, // row_to_json(record, boolean)
    {3173, Stable::Prints}, // json_agg_transfn(internal, anyelement)
    {3175, Stable::Prints}, // json_agg(anyelement)
    {3176, Stable::Prints}, // to_json(anyelement)
    {3180, Stable::Prints}, // json_object_agg_transfn(internal, "any", "any")
    {3197, Stable::Prints}, // json_object_agg("any", "any")
    {3198, Stable::Prints}, // json_build_array(VARIADIC "any")
    {3200, Stable::Prints}, // json_build_object(VARIADIC "any")
    {3265, Stable::Prints}, // jsonb_agg_transfn(internal, anyelement)
    {3266, Stable::Prints}, // jsonb_agg_finalfn(internal)
    {3267, Stable::Prints}, // jsonb_agg(anyelement)
    {3268, Stable::Prints}, // jsonb_object_agg_transfn(internal, "any", "any")
    {3269, Stable::Prints}, // jsonb_object_agg_finalfn(internal)
    {3271, Stable::Prints}, // jsonb_build_array(VARIADIC "any")
    {3273, Stable::Prints}, // jsonb_build_object(VARIADIC "any")
    {3787, Stable::Prints}, // to_jsonb(anyelement)
    // Put together: the arguments' output functions, or casts to text.
    {1285, Stable::Prints}, // quote_literal(anyelement)
    {1290, Stable::Prints}, // quote_nullable(anyelement)
    {2003, Stable::Prints}, // textanycat(text, anynonarray)
    {2004, Stable::Prints}, // anytextcat(anynonarray, text)
    {3058, Stable::Prints}, // concat(VARIADIC "any")
    {3059, Stable::Prints}, // concat_ws(text, VARIADIC "any")
    {3539, Stable::Prints}, // format(text, VARIADIC "any")
    // The time of day.
    {274, Stable::Clock},  // timeofday()
    {1299, Stable::Clock}, // now()
    {1386, Stable::Clock}, // age(timestamptz)
    {2047, Stable::Clock}, // timetz(time)
    {2059, Stable::Clock}, // age(timestamp)
    {2647, Stable::Clock}, // transaction_timestamp()
    {2648, Stable::Clock}, // statement_timestamp()
    {2649, Stable::Clock}, // clock_timestamp()
};

constexpr auto known = [] {
    std::array<Known, std::size(listed)> sorted = {};
    std::copy(std::begin(listed), std::end(listed), sorted.begin());
    std::sort(sorted.begin(), sorted.end(), [](const Known &a, const Known &b) { return a.function < b.function; });
    return sorted;
}();

} // namespace

Stable stable_function(Oid function) noexcept {
    const auto *const found = std::lower_bound(known.begin(), known.end(), function,
                                               [](const Known &one, Oid oid) { return one.function < oid; });
    return found != known.end() && found->function == function ? found->kind : Stable::No;
}

} // namespace wc::cache
