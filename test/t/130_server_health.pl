# What wc_health_check() has to say of the server and its statements: each thing that can be wrong is made wrong and seen, and the hint is
# what mends it, or shows more.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('server_health', conf => "whitecross.query_stats_max = 100\nwhitecross.slow_query_threshold = '1min'\nwhitecross.alert_n_plus_one_warning = -1\nlog_min_messages = warning\n");
make_database($node, 'school', 'reference', students => 20);
$node->safe_psql('postgres', 'CREATE ROLE reader LOGIN');

sub sql { return $node->safe_psql('school', $_[0]) }
sub state_of { my ($check) = @_; return sql("SELECT DISTINCT status FROM wc_health_check() WHERE check_name = '$check'") }
sub details_of { my ($check) = @_; return sql("SELECT detail FROM wc_health_check() WHERE check_name = '$check'") }

# The hints of a check, those that are SQL for psql, run one by one as they stand.
sub follow {
    my ($check) = @_;
    for my $hint (split /\n/, sql("SELECT hint FROM wc_health_check() WHERE check_name = '$check' AND hint IS NOT NULL")) {
        my (undef, $state, $err) = try_sql($node, 'school', join ";\n", split /;\s*/, $hint =~ s/ --.*//r);
        is($state, '', "$check: the hint runs: $hint") or diag($err);
    }
    return;
}

sql('SELECT wc_reset_query_stats(), wc_reset_slow_queries(), wc_reset_n_plus_one(), wc_reset_constraint_violations()');
is(sql(q{SELECT string_agg(check_name || ' ' || status, ', ' ORDER BY place) FROM wc_server_health()}),
    'statement statistics ok, query history ok, slow queries ok, N+1 patterns ok, constraint violations ok, violations seen ok, index usage ok, privacy of the log warning, monitor ok, pooler ok, alerts ok, result cache ok',
    'a new server has only its way to log to be warned of');

# ---- The log.
my %advised = map { split /\|/ } split /\n/, sql(q{SELECT setting, command FROM wc_privacy_settings() WHERE risk = 'critical'});
cmp_ok(scalar keys %advised, '>', 1, 'settings let values into the log');
follow('privacy of the log');
sql($_) for values %advised;
$node->reload;
ok($node->poll_query_until('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'privacy of the log'}, 'ok'), 'as advised, none does');

# ---- Statements that aren't identified, or not followed at all.
$node->safe_psql('postgres', 'ALTER SYSTEM SET compute_query_id = off');
$node->reload;
ok($node->poll_query_until('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'statement statistics'}, 'warning'), 'compute_query_id is off');
like(details_of('statement statistics'), qr/not identified/, 'which is said');
follow('statement statistics');
ok($node->poll_query_until('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'statement statistics'}, 'ok'), 'and mended by the hint');
$node->safe_psql('postgres', 'ALTER SYSTEM SET whitecross.track_queries = off');
$node->reload;
ok($node->poll_query_until('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'statement statistics'}, 'warning'), 'statements are not followed');
like(details_of('statement statistics'), qr/whitecross\.track_queries/, 'which is said');
follow('statement statistics');
ok($node->poll_query_until('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'statement statistics'}, 'ok'), 'and mended by the hint');

# ---- More patterns than there is room for: a number written as constants of two types, one for each of its bits, is a pattern of its own.
is(state_of('statement statistics'), 'ok', 'there is room for the patterns');
sql(join "\n", map { 'SELECT ' . join(', ', map { $_ ? '1' : 'NULL::text' } split //, sprintf '%011b', $_) . ';' } 1 .. 1500);
cmp_ok(sql('SELECT evicted FROM wc_query_stats_info'), '>', 1000, 'most patterns gave their place to others');
is(state_of('statement statistics'), 'warning', 'which is told');
like(sql(q{SELECT hint FROM wc_health_check() WHERE check_name = 'statement statistics'}), qr/query_stats_max = 200; -- and restart/, 'and how to make room');

# ---- Slow statements and loops. The threshold is of a session of its own.
is(state_of('slow queries'), 'ok', 'no slow query');
$node->safe_psql('school', 'SET whitecross.slow_query_threshold = 0; SELECT count(*) FROM students');
is(state_of('slow queries'), 'warning', 'a slow query is warned of');
follow('slow queries');
sql('SELECT wc_reset_slow_queries()');
is(state_of('slow queries'), 'ok', 'until it is forgotten');
sql('SELECT wc_reset_n_plus_one()');    # this test asks the same again and again, too
is(state_of('N+1 patterns'), 'ok', 'no loop');
$node->safe_psql('school', join("\n", ('SELECT "firstName" FROM students WHERE id = gen_random_uuid();') x 300));
is(state_of('N+1 patterns'), 'warning', 'a loop is warned of');
follow('N+1 patterns');

# ---- Violations of constraints.
is(state_of('constraint violations'), 'ok', 'no violation');
my $violate = join "\n", ('INSERT INTO students (id) VALUES (NULL);') x 11;
$node->psql('school', $violate, on_error_stop => 0);
is(state_of('constraint violations'), 'warning', 'eleven in an hour are a warning');
$node->psql('school', join("\n", ($violate) x 4), on_error_stop => 0);
is(sql('SELECT wc_healthy()'), 'f', 'fifty-five are critical');
like(details_of('constraint violations'), qr/\A55 violations of .*students/, 'it is said of which constraint');
follow('constraint violations');
sql('SELECT wc_reset_constraint_violations()');
is(sql('SELECT wc_healthy()'), 't', 'until they are forgotten');
is(state_of('violations seen'), 'ok', 'every violation is seen');
sql('ALTER ROLE reader SET log_min_messages = fatal');
like(details_of('violations seen'), qr/log_min_messages is fatal for role reader: .*not counted/, 'but those of a role whose errors don\'t go to the log');
follow('violations seen');
is(state_of('violations seen'), 'ok', 'which the hint mends');
sql('CREATE FUNCTION public.swallow() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO students (id) VALUES (NULL); EXCEPTION WHEN not_null_violation THEN NULL; END $f$');
sql('SELECT swallow()');
like(details_of('violations seen'), qr/1 functions have an EXCEPTION block .*: public\.swallow/, 'and those that a function catches');
is(sql(q{SELECT last_hour FROM wc_constraint_violations WHERE kind = 'all'}), '0', 'of which there is none to count');
follow('violations seen');
sql('DROP FUNCTION swallow()');
is(state_of('violations seen'), 'ok', 'and no longer');

# ---- Indexes.
is(state_of('index usage'), 'ok', 'no index is in excess');
sql('CREATE INDEX another ON students ("schoolId"); CREATE INDEX and_another ON students ("schoolId")');
like(details_of('index usage'), qr/index another of students is a duplicate of and_another|index and_another of students is a duplicate of/, 'a duplicate is told');
follow('index usage');
sql('DROP INDEX IF EXISTS another, and_another');
is(state_of('index usage'), 'ok', 'and no longer');
sql(q{UPDATE students SET "studentNumber" = 'same' WHERE id IN (SELECT id FROM students LIMIT 1)});
is((try_sql($node, 'school', 'CREATE UNIQUE INDEX CONCURRENTLY only_one ON students ((1))'))[1], '23505', 'an index that can\'t be built');
like(details_of('index usage'), qr/index only_one of students is invalid/, 'and is left there, is told');
like(sql(q{SELECT hint FROM wc_health_check() WHERE check_name = 'index usage'}), qr/\AREINDEX INDEX CONCURRENTLY public\.only_one; --/, 'with the statement that builds it anew');
sql('DROP INDEX only_one');

# ---- The monitor. Its process is stopped where it stands.
$node->append_conf('postgresql.conf', "whitecross.monitor_interval = 1\nwhitecross.health_interval = 1\n");
my $since = sql('SELECT now()');
$node->reload;
ok($node->poll_query_until('school', "SELECT last_check > '$since' FROM wc_health_status()"), 'the monitor has checked the database');
like(details_of('monitor'), qr/\Aconnections sampled \S+ ago, health checked \S+ ago\z/, 'it is said when');
my $monitor = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'whitecross monitor'});
kill 'STOP', $monitor;
ok($node->poll_query_until('school', q{SELECT bool_or(status = 'warning' AND detail ~ '^connections were last sampled 00:00:\d\d ago, which is to be done each 1s$') FROM wc_health_check() WHERE check_name = 'monitor'}),
    'one that is stuck is told, with the time');
follow('monitor');
kill 'CONT', $monitor;
ok($node->poll_query_until('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'monitor'}, 'ok'), 'until it goes on');

# ---- A pooler that is not there, and alerts.
is(sql(q{SELECT string_agg(detail, ', ' ORDER BY detail) FROM wc_health_check() WHERE check_name IN ('pooler', 'alerts')}), 'no PgBouncer is watched, no alert is raised', 'no pooler, no alert');
my $nowhere = PostgreSQL::Test::Utils::tempdir_short();
$node->safe_psql('postgres', "ALTER SYSTEM SET whitecross.pgbouncer_conninfo = 'host=$nowhere port=6432 user=nobody dbname=pgbouncer'");
$node->reload;
ok($node->poll_query_until('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'pooler'}, 'warning'), 'a pooler that does not answer');
like(details_of('pooler'), qr/\APgBouncer does not answer: .*; it last did never\z/, 'which is said');
follow('pooler');
ok($node->poll_query_until('school', q{SELECT status FROM wc_health_check() WHERE check_name = 'alerts'}, 'warning'), 'that is an alert, too');
like(details_of('alerts'), qr/\A1 alerts are raised: pooler_down of pooler\z/, 'which is named');
follow('alerts');
is(sql('SELECT wc_healthy()'), 't', 'an alert makes nothing unhealthy');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET whitecross.pgbouncer_conninfo');
$node->reload;
ok($node->poll_query_until('school', q{SELECT bool_and(status = 'ok') FROM wc_health_check() WHERE check_name IN ('pooler', 'alerts')}), 'and over when none is configured');

# ---- Any role may ask, and sees of statements its own.
is(sql('SET ROLE reader; SELECT count(*) FROM wc_health_check() WHERE check_name IN (SELECT s.check_name FROM wc_server_health() AS s)'), '12', 'any role may ask');
is(sql(q{SET ROLE reader; SELECT status FROM wc_health_check() WHERE check_name = 'N+1 patterns'}), 'ok', 'others\' loops are not told');

# ---- Not preloaded: what needs no memory is told all the same.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is(sql(q{SELECT string_agg(check_name || ' ' || status, ', ' ORDER BY place) FROM wc_server_health()}), 'index usage ok, privacy of the log ok', 'without preloading, indexes and the log');
is(state_of('library'), 'warning', 'and that the library is not loaded');

done_testing();
