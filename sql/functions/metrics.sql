-- Everything measured, as metrics, and in Prometheus' text format.
--
-- Metrics come in families: those of one have the same labels, and the same name but for its last words, so that a family is one
-- query of monitoring/postgres_exporter.yml. Each row of a family has all of its metrics: that exporter makes NaN of NULL, so what can be
-- unknown by itself is a family by itself.
--
-- A scrape is small and waits for nothing: no row is counted, no label has more than 100 values, and of what is locked the size is left out.
-- A counter counts what is never given up for something else, so that it only grows.

-- With the rights of the owner, so that whoever may call it needs no right to see what others do.
CREATE FUNCTION @extschema@.wc_metrics(family text DEFAULT NULL)
RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER ROWS 500
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $metrics$
DECLARE
    families constant text[] := ARRAY['extension', 'view', 'view_rows', 'refresh', 'refresh_last', 'refresh_schedule', 'change_log', 'index', 'indexes',
                                      'health', 'health_checks', 'violations', 'violations_by_constraint', 'connections', 'connections_by_database', 'connections_by_role',
                                      'connection_limit_of_database', 'connection_limit_of_role', 'oldest_transaction', 'transaction_ids',
                                      'replication', 'replay', 'pooler', 'pools', 'pool_waits', 'pooled_databases', 'monitor', 'alerts', 'queries', 'query_patterns',
                                      'cache', 'cache_limits', 'cache_refusals', 'cache_tags', 'cache_second_tier', 'cache_second_tier_state'];
BEGIN
    IF family <> ALL (families) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('there is no family of metrics "%s"', family),
            HINT = 'Families are ' || array_to_string(families, ', ') || '.';
    END IF;
    RETURN QUERY SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_database_metrics(family) AS m
                  UNION ALL
                 SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_server_metrics(family) AS m
                  UNION ALL
                 SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_cache_metrics(family) AS m;
END
$metrics$;
COMMENT ON FUNCTION @extschema@.wc_metrics(text) IS
'Everything measured, as metrics of Prometheus: name, type, help, labels, value; of one family, or all. Numbers and names of databases, roles, views, constraints and indexes only.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_metrics(text) FROM PUBLIC;

CREATE VIEW @extschema@.wc_metrics AS
SELECT m.name, m.type, m.help, m.labels, m.value FROM @extschema@.wc_metrics() AS m;
COMMENT ON VIEW @extschema@.wc_metrics IS
'Everything measured, as metrics of Prometheus: wc_metrics() as a view.';

CREATE FUNCTION @extschema@.wc_prometheus()
RETURNS text
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET extra_float_digits = 1
AS $prometheus$
WITH lines AS (
    SELECT m.name, m.type, m.help, l.labels,
           concat(m.name, '{' || l.labels || '}', ' ',
                  CASE m.value WHEN 'Infinity' THEN '+Inf' WHEN '-Infinity' THEN '-Inf' ELSE m.value::text END, E'\n') AS line
      FROM @extschema@.wc_metrics() AS m
     CROSS JOIN LATERAL (SELECT string_agg(format('%s="%s"', e.key, replace(replace(replace(e.value, '\', '\\'), '"', '\"'), E'\n', '\n')), ',' ORDER BY e.key) AS labels
                           FROM jsonb_each_text(m.labels) AS e) AS l
), metrics AS (
    SELECT l.name, concat('# HELP ', l.name, ' ', replace(replace(min(l.help), '\', '\\'), E'\n', '\n'), E'\n',
                          '# TYPE ', l.name, ' ', min(l.type), E'\n', string_agg(l.line, '' ORDER BY l.labels)) AS block
      FROM lines AS l GROUP BY l.name
)
SELECT coalesce(string_agg(m.block, '' ORDER BY m.name), '') FROM metrics AS m
$prometheus$;
COMMENT ON FUNCTION @extschema@.wc_prometheus() IS
'wc_metrics in Prometheus'' text format, to be scraped as it is.';
REVOKE EXECUTE ON FUNCTION @extschema@.wc_prometheus() FROM PUBLIC;
