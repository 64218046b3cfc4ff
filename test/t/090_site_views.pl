# Views of the site's own (wc_add_view): under random writes to tables of ours and of the site's they hold what their definitions
# say; they are installed, dumped, restored, refreshed live and dropped as ours are; what can't be done leaves nothing behind, also
# where sessions meet.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Description;
use WhiteCross::Test;

my $seed = $ENV{WC_SITE_VIEWS_SEED} // 1;
my $steps = $ENV{WC_SITE_VIEWS_STEPS} // 40;
note("seed $seed, $steps steps");
srand($seed);

my $node = new_node('site', preload => 'pg_cron,whitecross', cron_database => 'reference', allows_streaming => 1, conf => "autovacuum = off\n");
$node->safe_psql('postgres', 'CREATE ROLE registrar NOLOGIN; CREATE ROLE reader');

# Tables of the site's own: an ordinary one, a partitioned one and one with a child.
my $tables = <<'SQL';
CREATE TABLE clubs (id integer PRIMARY KEY, name text NOT NULL, outing date);
CREATE TABLE club_members ("clubId" integer NOT NULL, "studentId" uuid, role text, PRIMARY KEY ("clubId", role)) PARTITION BY HASH ("clubId");
CREATE TABLE club_members_0 PARTITION OF club_members FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE club_members_1 PARTITION OF club_members FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE "Fees" (id serial PRIMARY KEY, "studentId" uuid, "amount due" numeric NOT NULL);
CREATE TABLE old_fees () INHERITS ("Fees");
INSERT INTO clubs SELECT i, 'club ' || i, date '2026-01-01' + i FROM generate_series(1, 12) AS i;
INSERT INTO club_members SELECT 1 + n % 12, id, 'role ' || n FROM (SELECT id, row_number() OVER (ORDER BY id)::integer AS n FROM students) AS s;
INSERT INTO "Fees" ("studentId", "amount due") SELECT id, 1.50 * n FROM (SELECT id, row_number() OVER (ORDER BY id)::integer AS n FROM students LIMIT 60) AS s;
INSERT INTO old_fees ("studentId", "amount due") SELECT id, 2 FROM (SELECT id FROM students ORDER BY id DESC LIMIT 20) AS s;
SQL

# own_outings has all that a definition can have; own_totals a table without a source (clubs).
my $definition = <<'SQL';
SELECT s."id" AS "studentId", s."lastName", club."names", club."next", coalesce(allergy."n", 0) AS "allergies", fee."due"
  FROM {students: id, lastName, isActive, deletedAt} AS s
  LEFT JOIN (SELECT m."studentId", string_agg(c."name", ', ' ORDER BY c."name", m."role") AS "names", min(c."outing") FILTER (WHERE c."outing" >= {today}) AS "next"
               FROM {club_members: clubId, studentId, role} AS m JOIN {clubs: id, name, outing} AS c ON c."id" = m."clubId"
              WHERE m."studentId" IS NOT NULL {only m."studentId"} GROUP BY 1) AS club ON club."studentId" = s."id"
  LEFT JOIN (SELECT a."studentId", count(*) AS "n" FROM {allergies: studentId, deletedAt} AS a
              WHERE a."deletedAt" IS NULL {only a."studentId"} GROUP BY 1) AS allergy ON allergy."studentId" = s."id"
  LEFT JOIN (SELECT f."studentId", sum(f."amount due") AS "due" FROM {Fees: studentId, "amount due"} AS f
              WHERE true {only f."studentId"} GROUP BY 1) AS fee ON fee."studentId" = s."id"
 WHERE s."deletedAt" IS NULL {only s."id"}
SQL
my $add = <<"SQL";
SELECT * FROM wc_add_view('own_outings', \$view\$$definition\$view\$, '{studentId}',
  jsonb_build_object('clubs', 'SELECT m."studentId" FROM {changed: id} AS c JOIN {club_members: clubId, studentId} AS m ON m."clubId" = c."id"'),
  'SELECT v."studentId" FROM {view} AS v WHERE {that day} <> {today} AND v."next" < {today}
   UNION ALL SELECT m."studentId" FROM {club_members: clubId, studentId} AS m JOIN {clubs: id, outing} AS c ON c."id" = m."clubId"
    WHERE {that day} > {today} AND c."outing" >= {today}', 'SELECT {next day}', 'Members of clubs.');
SQL
my $add_totals = <<'SQL';
SELECT * FROM wc_add_view('own_totals', $view$
SELECT m."clubId", count(*) AS "members", min(c."name") AS "name"
  FROM {club_members: clubId} AS m JOIN {clubs: id, name} AS c ON c."id" = m."clubId" WHERE true {only m."clubId"} GROUP BY 1$view$, '{clubId}');
SQL

# The same by hand, for a clock.
sub outings_by_hand {
    my ($day) = @_;
    return <<"SQL";
SELECT s.id AS "studentId", s."lastName",
       (SELECT string_agg(c.name, ', ' ORDER BY c.name, m.role) FROM club_members AS m JOIN clubs AS c ON c.id = m."clubId" WHERE m."studentId" = s.id) AS names,
       (SELECT min(c.outing) FROM club_members AS m JOIN clubs AS c ON c.id = m."clubId" WHERE m."studentId" = s.id AND c.outing >= date '$day') AS next,
       (SELECT count(*) FROM allergies AS a WHERE a."studentId" = s.id AND a."deletedAt" IS NULL) AS allergies,
       (SELECT sum(f."amount due") FROM "Fees" AS f WHERE f."studentId" = s.id) AS due
  FROM students AS s WHERE s."deletedAt" IS NULL
SQL
}
my $totals_by_hand = q{SELECT c.id, (SELECT count(*) FROM club_members AS m WHERE m."clubId" = c.id), c.name FROM clubs AS c WHERE EXISTS (SELECT FROM club_members AS m WHERE m."clubId" = c.id)};

sub pick { return $_[ rand @_ ] }
my $student = '(SELECT id FROM students ORDER BY md5(id::text || %d) LIMIT 1)';
sub any_student { return sprintf $student, rand 1e6 }
my $number = 1000;

# A random transaction.
sub writes {
    my @kinds = (
        sub { "UPDATE students SET \"lastName\" = 'Name' || @{[int rand 100]} WHERE id = " . any_student() },
        sub { 'UPDATE students SET "deletedAt" = CASE WHEN "deletedAt" IS NULL THEN now() END WHERE id = ' . any_student() },
        sub { 'INSERT INTO club_members VALUES (' . int(1 + rand 12) . ', ' . any_student() . ", 'n" . $number++ . "')" },
        sub { 'UPDATE club_members SET "clubId" = 1 + "clubId" % 12 WHERE "studentId" = ' . any_student() },
        sub { 'UPDATE club_members SET "studentId" = ' . pick('NULL', any_student()) . ' WHERE "clubId" = ' . int(1 + rand 12) . ' AND role LIKE \'%' . int(rand 10) . "'" },
        sub { 'DELETE FROM club_members_' . int(rand 2) . ' WHERE "studentId" = ' . any_student() },
        sub { "UPDATE clubs SET name = name || '+' WHERE id = " . int(1 + rand 12) },
        sub { 'UPDATE clubs SET outing = ' . pick('NULL', "date '2026-01-01' + " . int(rand 60)) . ' WHERE id = ' . int(1 + rand 12) },
        sub { 'DELETE FROM allergies WHERE "studentId" = ' . any_student() },
        sub { q{UPDATE allergies SET "deletedAt" = now() WHERE "studentId" = } . any_student() },
        sub { 'INSERT INTO ' . pick('"Fees"', 'old_fees') . ' ("studentId", "amount due") VALUES (' . any_student() . ', ' . int(rand 1000) / 100 . ')' },
        sub { 'UPDATE "Fees" SET "amount due" = "amount due" + 0.25 WHERE "studentId" = ' . any_student() },
        sub { 'DELETE FROM ' . pick('"Fees"', 'old_fees') . ' WHERE id % 7 = ' . int(rand 7) },
        sub { 'MERGE INTO "Fees" AS f USING (SELECT ' . any_student() . ' AS s) AS n ON f."studentId" = n.s WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT ("studentId", "amount due") VALUES (n.s, 9)' },
        sub { pick('TRUNCATE old_fees', 'TRUNCATE club_members_1', 'SELECT 1', 'SELECT 1') });
    my $sql = join ";\n", map { pick(@kinds)->() } 1 .. 1 + rand 4;
    $sql .= ";\nSAVEPOINT s; " . pick(@kinds)->() . '; ROLLBACK TO s' if rand() < 0.2;
    return "BEGIN;\n$sql;\n" . (rand() < 0.1 ? 'ROLLBACK' : 'COMMIT') . ';';
}

my %before;
for my $kind ('reference', 'platform') {
    make_database($node, $kind, $kind, whitecross => 0, owner => 'registrar', extensions => $kind eq 'reference' ? ['pg_cron'] : []);
    $node->safe_psql($kind, $tables);
    $before{$kind} = catalogue($node, $kind);
    $node->safe_psql($kind, "SET client_min_messages = warning; CREATE EXTENSION whitecross; SELECT wc_configure('timezone', 'Europe/Berlin'); SELECT wc_install()");

    # The owner of students has to read what the view reads.
    my (undef, $state, $err) = try_sql($node, $kind, $add);
    is($state, '42501', "$kind: the owner of students may not read the site's own tables");
    like($err, qr/role registrar, owner of students, may not read table/, "$kind: which is said");
    $node->safe_psql($kind, 'GRANT SELECT ON clubs, club_members, "Fees" TO registrar');

    # Taken back, it was never there.
    my $empty = description($node, $kind);
    $node->safe_psql($kind, "BEGIN; $add; ROLLBACK");
    same_lines(description($node, $kind), $empty, "$kind: rolled back, it leaves nothing");
    $node->safe_psql($kind, "$add; SELECT * FROM wc_remove_view('own_outings')");
    same_lines(description($node, $kind), $empty, "$kind: nor does it once it is removed");

    $node->safe_psql($kind, $add . $add_totals);
    is($node->safe_psql($kind, q{SELECT view_name, table_name, direct FROM wc_source_catalogue WHERE view_name LIKE 'own%' ORDER BY 1, 2}), <<'ROWS' =~ s/\n\z//r, "$kind: whose keys follow from the marks, or were given");
own_outings|Fees|t
own_outings|allergies|t
own_outings|club_members|t
own_outings|clubs|f
own_outings|students|t
own_totals|club_members|t
ROWS
    is($node->safe_psql($kind, q{SELECT count(*) FROM wc_objects() WHERE status <> 'installed' AND (kind = 'trigger' OR name LIKE 'own%')}), '0', "$kind: everything is there");
    is($node->safe_psql($kind, q{SELECT count(*) FROM wc_install()}), '0', "$kind: wc_install() has nothing to do");
    is($node->safe_psql($kind, q{SELECT check_name, detail FROM wc_health_check() WHERE detail LIKE '%own%' AND status <> 'ok' AND check_name NOT IN ('schedule', 'views fresh')}),
        '', "$kind: and is healthy");

    # ---- Random writes and clocks.
    my @wrong;
    my %modes;
    my $day = 5;
    for my $step (1 .. $steps) {
        $day += pick(0, 0, 0, 1, 3, -2);
        my $date = $node->safe_psql($kind, "SELECT date '2026-01-01' + $day");
        my $clock = "SET whitecross.now = '$date 12:00:00+00'";
        $node->safe_psql($kind, join "\n", map { writes() } 1 .. 1 + rand 3);
        my $mode = pick('auto', 'auto', 'incremental', 'concurrent');
        my $out  = $node->safe_psql($kind, "$clock; SELECT status, mode FROM wc_refresh('own_outings', '$mode'); SELECT status, mode FROM wc_refresh('own_totals', '$mode');"
              . 'SELECT view_name, missing, extra, pending FROM wc_verify() WHERE view_name LIKE \'own%\' ORDER BY 1;'
              . "SELECT count(*) FROM ((TABLE own_outings EXCEPT ALL (@{[outings_by_hand($date)]})) UNION ALL ((@{[outings_by_hand($date)]}) EXCEPT ALL TABLE own_outings)) AS d;"
              . "SELECT count(*) FROM ((TABLE own_totals EXCEPT ALL ($totals_by_hand)) UNION ALL (($totals_by_hand) EXCEPT ALL TABLE own_totals)) AS d;");
        push @wrong, "step $step: $out" if $out !~ /\Arefreshed\|(\w+)\nrefreshed\|(\w+)\nown_outings\|0\|0\|0\nown_totals\|0\|0\|0\n0\n0\z/;
        $modes{"own_outings $1"}++, $modes{"own_totals $2"}++ if $out =~ /\Arefreshed\|(\w+)\nrefreshed\|(\w+)/;
    }
    is(join("\n", @wrong), '', "$kind: after every step the views hold what their definitions say (seed $seed)");
    note(join ', ', map { "$_: $modes{$_}" } sort keys %modes);
    cmp_ok($modes{'own_outings incremental'} // 0, '>', $steps / 5, "$kind: many refreshes were by keys");
    cmp_ok($modes{'own_totals incremental'} // 0, '>', $steps / 10, "$kind: also of the view that has no source for one table");
    like($node->safe_psql($kind, q{SELECT DISTINCT reason FROM wc_refresh_log WHERE view_name = 'own_totals'}), qr/^table clubs was changed as a whole$/m,
        "$kind: whose changes have it computed as a whole, and the log says so");

    # ---- As ours.
    $node->safe_psql($kind, 'GRANT SELECT ON own_outings TO reader');
    like($node->safe_psql($kind, q{SELECT name, action FROM wc_configure('timezone', 'Asia/Tokyo')}), qr/^own_outings\|rebuild$/m, "$kind: another time zone concerns it");
    like($node->safe_psql($kind, 'SELECT name, action FROM wc_install()'), qr/^own_outings\|rebuilt$/m, "$kind: it is rebuilt");
    is($node->safe_psql($kind, 'SET ROLE reader; SELECT count(*) > 0 FROM own_outings'), 't', "$kind: its grants are kept");
    is($node->safe_psql($kind, q{SELECT string_agg(DISTINCT status, ',') FROM wc_refresh_group('hourly')}), 'refreshed', "$kind: it is of a group");
    like($node->safe_psql($kind, q{SELECT view_name FROM wc_refresh_group('hourly')}), qr/^own_outings$/m, "$kind: the hourly one");
}

# ---- The schedule follows.
$node->safe_psql('reference', q{SELECT wc_remove_view('own_totals'); SELECT wc_remove_view('own_outings'); SELECT wc_schedule();
  SELECT wc_set_schedule(v, 'off') FROM unnest(ARRAY['mv_student_health_summary', 'mv_medication_schedule', 'mv_allergy_summary']) AS v});
my $jobs = q{SELECT count(*) FROM wc_scheduled_jobs() WHERE schedule IS NOT NULL AND job_name LIKE '% hourly'};
is($node->safe_psql('reference', $jobs), '0', 'no view is refreshed hourly, so there is no job');
$node->safe_psql('reference', $add . $add_totals);
is($node->safe_psql('reference', $jobs), '1', 'a view that is added has one made');
$node->safe_psql('reference', q{CALL wc_run_schedule('hourly')});
is($node->safe_psql('reference', q{SELECT refreshed_by FROM wc_view_stats('own_outings')}), 'schedule', 'which refreshes it');

# ---- Dump and restore.
for my $kind ('reference', 'platform') {
    my $copy = "${kind}_copy";
    my $file = $node->basedir . "/$kind.dump";
    my @at   = ('--host', $node->host, '--port', $node->port);
    if ($kind eq 'platform') {    # the other one has pg_cron, of which a server has one
        command_ok([ 'pg_dump', @at, '--format=custom', '--file', $file, $kind ], "$kind: it can be dumped");
        $node->safe_psql('postgres', "CREATE DATABASE $copy TEMPLATE template0");
        command_ok([ 'pg_restore', @at, '--exit-on-error', '--dbname', $copy, $file ], "$kind: and restored");
        # A dump makes the keys of partitions anew, as their own.
        my ($was, $is) = map { join "\n", grep { !/club_members_\d_pkey/ } split /\n/, without_constraint_links(description($node, $_)) } $kind, $copy;
        same_lines($is, $was, "$kind: to the same catalogue");
        my $registered = 'SELECT * FROM wc_site_view ORDER BY name';
        is($node->safe_psql($copy, $registered), $node->safe_psql($kind, $registered), "$kind: with what it was given");
        is($node->safe_psql($copy, q{SELECT string_agg(status, ',') FROM wc_objects() WHERE name LIKE 'own%'}), 'installed,installed,installed,installed', "$kind: the views are ours");
        unlike($node->safe_psql($copy, 'SELECT action, name FROM wc_install()'), qr/own/, "$kind: wc_install() finds nothing to do about them");
        is($node->safe_psql($copy, q{SELECT status FROM wc_refresh('own_outings')}), 'refreshed', "$kind: they can be refreshed");
        $node->safe_psql($copy, q{UPDATE clubs SET name = 'Other' WHERE id = 2});
        is($node->safe_psql($copy, q{SELECT mode FROM wc_refresh('own_outings')}), 'incremental', "$kind: by keys from then on");
        is($node->safe_psql($copy, q{SELECT missing, extra, pending FROM wc_verify('own_outings')}), '0|0|0', "$kind: and are right");
    }
    # ---- DROP EXTENSION.
    $node->safe_psql($kind, 'DROP EXTENSION whitecross');
    $node->safe_psql($kind, 'REVOKE ALL ON clubs, club_members, "Fees" FROM registrar');
    my $after = catalogue($node, $kind);
    # What was granted and taken away again leaves the owner's own rights written out.
    s/ \{postgres=\w+\/postgres\}$/ /mg for $after, $before{$kind};
    same_lines($after, $before{$kind}, "$kind: DROP EXTENSION takes them, their triggers and what was given with it");
}

# ---- From a database of an earlier version.
make_database($node, 'older', 'reference', students => 20, whitecross => 0);
$node->safe_psql('older', "SET client_min_messages = warning; $tables CREATE EXTENSION whitecross VERSION '1.0.0'; ALTER EXTENSION whitecross UPDATE; $add");
$node->safe_psql('older', 'UPDATE "Fees" SET "amount due" = 0');
is($node->safe_psql('older', q{SELECT status FROM wc_refresh('own_outings', 'incremental')}), 'refreshed', 'an updated database has it, too');
is($node->safe_psql('older', q{SELECT missing, extra, pending FROM wc_verify('own_outings')}), '0|0|0', 'and rightly');

# ---- Few rows: what can't be tried yet is refreshed as a whole, until it can.
make_database($node, 'empty', 'reference', students => 0);
$node->safe_psql('empty', 'CREATE TABLE clubs (id integer PRIMARY KEY, name text)');
my $ranked = q{SELECT * FROM wc_add_view('own_ranks', 'SELECT c.id, %s AS x FROM {clubs: id, name} AS c WHERE true {only c.id}', '{id}')};
my $last = q{SELECT mode, reason FROM wc_refresh_log WHERE view_name = 'own_ranks' ORDER BY id DESC LIMIT 1};
$node->safe_psql('empty', sprintf $ranked, 'c.name');
$node->safe_psql('empty', q{INSERT INTO clubs VALUES (1, 'a'); SELECT wc_refresh('own_ranks')});
is($node->safe_psql('empty', $last), 'concurrent|it had too few rows to try whether it can be restricted to keys', 'of an empty view it is not known whether it can be restricted');
$node->safe_psql('empty', q{INSERT INTO clubs VALUES (2, 'b'), (3, 'c'); SELECT wc_refresh('own_ranks'); UPDATE clubs SET name = 'd' WHERE id = 2; SELECT wc_refresh('own_ranks', 'incremental')});
is($node->safe_psql('empty', $last), 'incremental|asked for', 'once it has rows it is tried, and refreshed by keys');
$node->safe_psql('empty', q{SELECT wc_remove_view('own_ranks'); DELETE FROM clubs; } . sprintf $ranked, 'rank() OVER (ORDER BY c.name)');
$node->safe_psql('empty', q{INSERT INTO clubs SELECT i, i FROM generate_series(1, 30) AS i; SELECT wc_refresh('own_ranks'); UPDATE clubs SET name = '0' || name; SELECT wc_refresh('own_ranks', 'incremental')});
like($node->safe_psql('empty', $last), qr/^concurrent\|restricted to 30 keys, its definition lacks \d+ and adds \d+ of the rows that it gives as a whole$/, 'one that can\'t be is then computed as a whole');
is($node->safe_psql('empty', q{SELECT missing, extra, pending FROM wc_verify('own_ranks')}), '0|0|', 'and is right') or diag($node->safe_psql('empty', q{SELECT * FROM wc_verify('own_ranks')}));
like($node->safe_psql('empty', q{SELECT detail FROM wc_health_check() WHERE check_name = 'incremental refresh' AND status = 'warning'}), qr/own_ranks/, 'of which the health check warns');
$node->safe_psql('empty', 'DROP TABLE clubs CASCADE');
is($node->safe_psql('empty', q{SELECT status, reason FROM wc_objects() WHERE name = 'own_ranks'}), 'pending|table public.clubs does not exist', 'a view whose table is gone is told of');
is($node->safe_psql('empty', q{SELECT DISTINCT status FROM wc_refresh_all()}), 'refreshed', 'and keeps nobody from anything');
is($node->safe_psql('empty', q{SELECT count(*) FROM wc_remove_view('own_ranks')}), '0', 'it can be removed all the same');

# ---- Sessions that meet; all of them fail without a trace.
make_database($node, 'busy', 'reference', students => 50);
$node->safe_psql('busy', "$tables SET client_min_messages = warning;");
my $clean = description($node, 'busy');
my $first = $node->background_psql('busy');
my $second = $node->background_psql('busy', on_error_stop => 0);
$first->query_safe("BEGIN; $add");
send_to($second, $add =~ s/;\s*\z//r);
$node->poll_query_until('busy', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'busy' AND wait_event_type = 'Lock'}) or die 'the second session does not wait';
$first->query_safe('COMMIT');
my (undef, $said) = answer($second);
like($said, qr/42710.*has the name "own_outings" already/, 'of two that add one name, the second is told that it is taken');
$first->quit;
is($node->safe_psql('busy', q{SELECT count(*) FROM wc_remove_view('own_outings')}), '5', 'what one has added another removes');
same_lines(description($node, 'busy'), $clean, 'with everything');

my $holder = $node->background_psql('busy');
$holder->query_safe('BEGIN; INSERT INTO clubs VALUES (100, \'x\')');
my (undef, $state, $err) = try_sql($node, 'busy', "SET whitecross.lock_timeout = '200ms'; $add");
is($state, '55P03', 'a table that is being written to is not waited for long');
like($err, qr/wc_capture_clubs/, 'the error says what for');
$holder->query_safe('ROLLBACK');
same_lines(description($node, 'busy'), $clean, 'and nothing is left');

$node->safe_psql('busy', $add);
my $there = description($node, 'busy');
$holder->query_safe('BEGIN; INSERT INTO clubs VALUES (100, \'x\')');
is((try_sql($node, 'busy', q{SET whitecross.lock_timeout = '200ms'; SELECT * FROM wc_remove_view('own_outings')}))[1], '55P03', 'removing neither');
$holder->query_safe('ROLLBACK');
$holder->quit;
same_lines(description($node, 'busy'), $there, 'and nothing is gone');
$node->safe_psql('busy', q{SELECT * FROM wc_remove_view('own_outings')});

my $endless = q{SELECT * FROM wc_add_view('endless', 'SELECT s."id", (SELECT count(*) FROM generate_series(1, 2000000000) AS g WHERE g > length(s."lastName")) AS n FROM {students: id, lastName} AS s WHERE true {only s."id"}', '{id}')};
is((try_sql($node, 'busy', "SET statement_timeout = '1s'; $endless"))[1], '57014', 'it can be cancelled');
same_lines(description($node, 'busy'), $clean, 'without a trace');
is((try_sql($node, 'busy', "BEGIN READ ONLY; $add"))[1], '25006', 'a read-only transaction adds none');
is((try_sql($node, 'busy', q{BEGIN READ ONLY; SELECT wc_remove_view('x')}))[1], '25006', 'and removes none');
is((try_sql($node, 'busy', "SET ROLE reader; $add"))[1], '42501', 'nor does a role that may not');

# ---- Live mode, for what is written and for what time changes; and a standby.
$node->safe_psql('busy', $add);
$node->safe_psql('busy', <<'SQL');
CREATE TABLE bells (id integer PRIMARY KEY, rings timestamptz);
SELECT * FROM wc_add_view('own_bells', 'SELECT b.id, b.rings <= {now} AS rung FROM {bells: id, rings} AS b WHERE true {only b.id}', '{id}', NULL,
  'SELECT b.id FROM {bells: id, rings} AS b WHERE b.rings > least({then}, {now}) AND b.rings <= greatest({then}, {now})',
  'SELECT min(b.rings) FROM {bells: rings} AS b WHERE b.rings > {now}');
INSERT INTO bells SELECT i, now() + interval '1 day' FROM generate_series(1, 5) AS i;
SELECT wc_refresh('own_bells');
ALTER DATABASE busy SET whitecross.live_refresh = on;
SQL
ok($node->poll_query_until('busy', 'SELECT state FROM wc_live_status()', 'running'), 'live mode runs');
$node->safe_psql('busy', q{UPDATE clubs SET name = 'Live' WHERE id = 3});
ok($node->poll_query_until('busy', q{SELECT bool_or(names LIKE '%Live%') FROM own_outings}), 'it brings what is written to a table of the site\'s own');
$node->safe_psql('busy', q{UPDATE bells SET rings = clock_timestamp() + interval '3 seconds' WHERE id = 1});
ok($node->poll_query_until('busy', 'SELECT rung FROM own_bells WHERE id = 1'), 'and what time alone changes');
is($node->safe_psql('busy', q{SELECT refreshed_by FROM wc_view_stats('own_bells')}), 'live', 'by itself');
is($node->safe_psql('busy', q{SELECT missing, extra FROM wc_verify('own_bells')}), '0|0', 'and rightly');

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('busy', 'SELECT count(*) FROM own_bells'), '5', 'a standby has the rows');
is((try_sql($standby, 'busy', $add))[1], '25006', 'and adds no view');
is($standby->safe_psql('busy', q{SELECT string_agg(status, ',') FROM wc_objects() WHERE name LIKE 'own_bells%'}), 'installed,installed', 'but knows those that there are');

done_testing();
