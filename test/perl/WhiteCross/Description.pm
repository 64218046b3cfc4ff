package WhiteCross::Description;

# A database as its catalogues describe it, in names: for tests that two databases are the same to the last comment. More
# than WhiteCross::Test::catalogue, which tells what a user would miss: this tells whatever two ways of making the same
# extension could make different. Only OIDs, times and what they decide (the order of a catalogue's rows) are left out.

use strict;
use warnings;

use Exporter qw(import);
use WhiteCross::Test;

our @EXPORT = qw(description shipped_rows settled without_constraint_links);

# The server writes ARRAY['A'::varchar]::text[] out, and reads it back as ARRAY['A'::varchar::text]: the same thing.
sub settled {
    my ($text) = @_;
    $text =~ s/\(ARRAY\[((?:'[^']*'::character varying(?:, )?)+)\]\)::text\[\]/'ARRAY[' . join(', ', map { "($_)::text" } split m{, }, $1) . ']'/ge;
    return $text;
}

# A description without the links of CHECK constraints, which no dump can carry.
sub without_constraint_links {
    return join "\n", grep { !/^dependency constraint / } split /\n/, $_[0];
}

# description(NODE, DATABASE): one line for each thing.
sub description {
    my ($node, $database) = @_;
    return settled(catalogue($node, $database) . "\n" . $node->safe_psql($database, <<'SQL'));
WITH own AS (
  SELECT n.oid FROM pg_catalog.pg_namespace AS n
   WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_'
), relations AS (
  SELECT c.* FROM pg_catalog.pg_class AS c JOIN own ON own.oid = c.relnamespace
), lines AS (
SELECT 'relation ' || c.oid::regclass::text || concat_ws(' ', '', c.relkind, c.relpersistence, c.relreplident, am.amname, c.reloptions::text,
         CASE WHEN c.relrowsecurity THEN 'row security' END, CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN 'empty' END) AS line
  FROM relations AS c LEFT JOIN pg_catalog.pg_am AS am ON am.oid = c.relam
UNION ALL
-- In their order: a column that an update adds elsewhere than the script has it is another table.
SELECT 'column ' || row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) || ' of ' || c.oid::regclass::text || ': ' || concat_ws(' ', a.attname,
         pg_catalog.format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END, nullif(a.attidentity, ''), nullif(a.attgenerated, ''),
         CASE WHEN a.attcollation <> 0 THEN a.attcollation::regcollation::text END, a.attstorage, a.attcompression, a.attacl::text,
         -- Without the stamp that the server itself gives the columns of some row types, another one each time.
         (SELECT string_agg(o.option, ', ') FROM unnest(a.attoptions) AS o (option) WHERE o.option NOT LIKE 'pg\_attver=%'),
         'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid))
  FROM pg_catalog.pg_attribute AS a JOIN relations AS c ON c.oid = a.attrelid
  LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind NOT IN ('i', 'I')
UNION ALL
SELECT 'constraint ' || n.conname || ' of ' || n.conrelid::regclass::text || ' ' || pg_catalog.pg_get_constraintdef(n.oid)
         || concat_ws(' ', '', n.contype, n.convalidated, n.condeferrable, n.conislocal, n.coninhcount, n.connoinherit)
  FROM pg_catalog.pg_constraint AS n JOIN relations AS c ON c.oid = n.conrelid
UNION ALL
SELECT 'index ' || pg_catalog.pg_get_indexdef(i.indexrelid) || concat_ws(' ', '', i.indisunique, i.indisprimary, i.indisvalid, i.indisclustered, i.indisreplident)
  FROM pg_catalog.pg_index AS i JOIN relations AS c ON c.oid = i.indexrelid
UNION ALL
-- Without the names that the server writes behind a function for all columns of its result: a view keeps those of its time.
SELECT 'view ' || c.oid::regclass::text || ' ' || regexp_replace(pg_catalog.pg_get_viewdef(c.oid), ' wc_view_stats\([a-z_, ]+\)', ' wc_view_stats') FROM relations AS c WHERE c.relkind IN ('v', 'm')
UNION ALL
SELECT 'function ' || concat_ws(' ', pg_catalog.pg_get_functiondef(p.oid), p.proowner::regrole, p.proacl::text)
  FROM pg_catalog.pg_proc AS p JOIN own ON own.oid = p.pronamespace WHERE p.prokind IN ('f', 'p')
UNION ALL
SELECT 'type ' || concat_ws(' ', t.oid::regtype, t.typtype, t.typowner::regrole, t.typacl::text) FROM pg_catalog.pg_type AS t JOIN own ON own.oid = t.typnamespace
UNION ALL
SELECT 'sequence ' || concat_ws(' ', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
  FROM pg_catalog.pg_sequence AS s
UNION ALL
SELECT 'trigger ' || concat_ws(' ', pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled, 'of ' || p.tgname || ' on ' || p.tgrelid::regclass::text)
  FROM pg_catalog.pg_trigger AS t LEFT JOIN pg_catalog.pg_trigger AS p ON p.oid = t.tgparentid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'event trigger ' || concat_ws(' ', e.evtname, e.evtevent, e.evtenabled, e.evtfoid::regprocedure, e.evttags::text, e.evtowner::regrole)
  FROM pg_catalog.pg_event_trigger AS e
UNION ALL
SELECT 'policy ' || p.polname || ' on ' || p.polrelid::regclass::text FROM pg_catalog.pg_policy AS p
UNION ALL
SELECT 'extension ' || concat_ws(' ', e.extname, e.extversion, e.extnamespace::regnamespace, e.extrelocatable, e.extowner::regrole)
  FROM pg_catalog.pg_extension AS e
UNION ALL
SELECT 'dumped rows of ' || c.oid::regclass::text || ' ' || d.condition
  FROM pg_catalog.pg_extension AS e, unnest(e.extconfig, e.extcondition) AS d (relation, condition) JOIN pg_catalog.pg_class AS c ON c.oid = d.relation
UNION ALL
SELECT 'initial privileges of ' || pg_catalog.pg_describe_object(i.classoid, i.objoid, i.objsubid) || ' ' || i.privtype::text || ' ' || i.initprivs::text
  FROM pg_catalog.pg_init_privs AS i WHERE i.objoid >= 16384
UNION ALL
-- Tables that hold long values have names made of OIDs, and a foreign key's triggers too.
SELECT 'dependency ' || o.thing || ' ' || d.deptype::text || ' ' || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
  FROM pg_catalog.pg_depend AS d CROSS JOIN LATERAL (SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)) AS o (thing)
 WHERE d.objid >= 16384 AND o.thing !~ '(toast|"?RI_ConstraintTrigger_)'
)
SELECT regexp_replace(line, E'\\s*\n\\s*', ' ', 'g') FROM lines
SQL
}

# shipped_rows(NODE, DATABASE, SCHEMA): the rows of the extension's own tables, but for what refreshes leave behind.
sub shipped_rows {
    my ($node, $database, $schema) = @_;
    my @tables = grep { !/\bwc_(?:refresh_log|view_state|change)$/ } split /\n/, $node->safe_psql($database, <<'SQL');
SELECT c.oid::regclass FROM pg_class AS c JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'whitecross'
 WHERE c.relkind = 'r' ORDER BY c.relname
SQL
    return join "\n", map { split /\n/, $node->safe_psql($database, qq{SELECT '$_ ' || regexp_replace(t::text, E'\\s*\n\\s*', ' ', 'g') FROM $_ AS t}) } @tables;
}

1;
