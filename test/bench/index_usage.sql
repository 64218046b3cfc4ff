-- index_usage: for each query of index_queries.sql, which indexes its plan uses, whether the one it is there for is among
-- them (a covering one counts only in an Index Only Scan), and what the planner would pay without it.
-- No planner setting is touched. Needs index_queries.sql first, and VACUUM (ANALYZE): an Index Only Scan is
-- worth it only where the visibility map says that the table need not be asked.

CREATE TEMPORARY TABLE index_usage (
  position integer PRIMARY KEY,
  kind text NOT NULL,
  index_name text NOT NULL,
  query_name text,
  nodes text,
  used boolean NOT NULL,
  cost numeric,
  cost_without numeric
);

DO $do$
DECLARE
  here record;
  value record;
  query text;
  plan jsonb;
  plan_without jsonb;
  indexes jsonb;
  without numeric;
BEGIN
  FOR here IN
    SELECT o.kind, o.name AS index_name, q.name, q.query, row_number() OVER (ORDER BY q.position) AS position
      FROM wc_objects() AS o LEFT JOIN index_query AS q ON q.index_name = o.name
     WHERE o.kind IN ('covering index', 'partial index', 'composite index') AND o.status IN ('installed', 'adopted')
     ORDER BY q.position
  LOOP
    IF coalesce(here.query, '') = '' THEN
      INSERT INTO index_usage VALUES (here.position, here.kind, here.index_name, here.name, 'no query', false, NULL, NULL);
      CONTINUE;
    END IF;
    query := here.query;
    FOR value IN SELECT * FROM index_query_value LOOP
      query := replace(query, '{' || value.name || '}',
                       CASE WHEN value.name = 'class' THEN value.value ELSE quote_literal(value.value) END);
    END LOOP;
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    SELECT jsonb_agg(node ORDER BY node->>'Index Name' = here.index_name DESC) INTO indexes
      FROM jsonb_path_query(plan, 'strict $.** ? (@."Index Name" <> "")') AS node;
    -- Without the index, in a subtransaction that is taken back.
    BEGIN
      EXECUTE format('DROP INDEX %I', here.index_name);
      EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan_without;
      without := (plan_without->0->'Plan'->>'Total Cost')::numeric;
      RAISE EXCEPTION USING errcode = 'WC000';
    EXCEPTION WHEN SQLSTATE 'WC000' THEN
    END;
    INSERT INTO index_usage VALUES (
      here.position, here.kind, here.index_name, here.name,
      coalesce((SELECT string_agg((node->>'Node Type') || CASE WHEN node->>'Index Name' = here.index_name THEN ''
                                                               ELSE ' on ' || (node->>'Index Name') END, ', ')
                  FROM jsonb_array_elements(indexes) AS node), 'no index'),
      EXISTS (SELECT FROM jsonb_array_elements(indexes) AS node
               WHERE node->>'Index Name' = here.index_name
                 AND (here.kind <> 'covering index' OR node->>'Node Type' = 'Index Only Scan')),
      (plan->0->'Plan'->>'Total Cost')::numeric, without);
  END LOOP;
END
$do$;
