-- The result cache: queries whose rows are kept until a table they were read from is written.

-- These two run the caller's own query with the caller's rights and settings, as the caller would: so they pin no
-- search_path, and everybody may call them.
CREATE FUNCTION @extschema@.wc_cached(row_type anyelement, query text, params text[] DEFAULT '{}',
                                      ttl interval DEFAULT '5 minutes', tag text DEFAULT NULL)
RETURNS SETOF anyelement
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'wc_cached';
COMMENT ON FUNCTION @extschema@.wc_cached(anyelement, text, text[], interval, text) IS
'The rows of a query, as many columns and of the same types as row_type has, from the result cache where they are there: never other rows than the query would return now. params: values of $1, $2, ...; ttl: how long they are kept at most; tag: a word for wc_cache_invalidate_tag(). A query that can''t be cached runs.';

CREATE FUNCTION @extschema@.wc_cached_json(query text, params text[] DEFAULT '{}',
                                           ttl interval DEFAULT '5 minutes', tag text DEFAULT NULL)
RETURNS SETOF jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'wc_cached_json';
COMMENT ON FUNCTION @extschema@.wc_cached_json(text, text[], interval, text) IS
'The rows of a query as jsonb, one object a row, from the result cache where they are there: as wc_cached(), for any columns.';
