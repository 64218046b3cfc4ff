-- The change log: which keys of which base table were written, noted by the writer's own transaction. Not dumped: a restored
-- database starts with views that are filled anew. It holds keys of rows, so nobody but the owner may read it.

CREATE TABLE @extschema@.wc_change (
    xid xid8 NOT NULL,
    seq integer NOT NULL,
    table_name text NOT NULL,
    keys text[],
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (xid, seq)
);
COMMENT ON TABLE @extschema@.wc_change IS
    'Changes of the base tables that some view has yet to take up: one row for each key that a statement touched.';
COMMENT ON COLUMN @extschema@.wc_change.xid IS 'The top-level transaction that wrote.';
COMMENT ON COLUMN @extschema@.wc_change.seq IS 'Counts the rows of one transaction.';
COMMENT ON COLUMN @extschema@.wc_change.table_name IS 'The base table, by its canonical name.';
COMMENT ON COLUMN @extschema@.wc_change.keys IS
    'Values of the captured columns of the row, old or new, in the order of the capture; null: any row may have changed.';
COMMENT ON COLUMN @extschema@.wc_change.noted_at IS 'When it was noted, by the server''s clock.';
REVOKE ALL ON @extschema@.wc_change FROM PUBLIC;
