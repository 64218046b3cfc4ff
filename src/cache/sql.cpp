// SQL-visible functions that read through the result cache: thin, no logic.
#include "cache/serve.hpp"

using namespace wc;

// wc_cached(row_type anyelement, query text, params text[], ttl interval, tag text): the rows of a query, of the type
// of row_type (its value doesn't matter), from the cache where they are there. params: values of $1, $2, ... in their
// text form; ttl: how long the rows may be kept, at most 30 days; tag: a word by which they can be told to go, at most
// 128 bytes. Errors: 22004 query, params or ttl is NULL; 22023 params is an array of arrays, ttl is not greater than
// zero or too long; 22001 the tag is too long; 42804 the query's rows are not of row_type; 0A000 it returns none; and
// whatever the query raises.
WC_FUNCTION(wc_cached) {
    return cache::serve(fcinfo, cache::Shape::Rows, 1);
}

// wc_cached_json(query text, params text[], ttl interval, tag text): the same, each row as jsonb.
WC_FUNCTION(wc_cached_json) {
    return cache::serve(fcinfo, cache::Shape::Json, 0);
}
