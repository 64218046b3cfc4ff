# Statistics and the health check where nothing can be written, and where pg_cron or the library is missing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $primary = new_node('primary', preload => 'pg_cron,whitecross', cron_database => 'school', allows_streaming => 1);
make_database($primary, 'school', 'reference', students => 50, extensions => ['pg_cron']);
$primary->safe_psql('school', 'CREATE ROLE reader LOGIN; SELECT count(*) FROM wc_refresh_all()');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub caught_up { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')); return }
# What each server has seen of statements is its own.
my $check = 'SELECT check_name, status, detail FROM wc_health_check()
  WHERE check_name <> $$views fresh$$ AND check_name NOT IN (SELECT s.check_name FROM wc_server_health() AS s)';
my $stats = 'SELECT view_name, size_bytes, row_count, populated, last_refresh, refreshes, failures, refreshed_by FROM wc_view_stats()';

caught_up();
is($standby->safe_psql('school', $check), $primary->safe_psql('school', $check), 'a standby sees the same health');
is($standby->safe_psql('school', $stats), $primary->safe_psql('school', $stats), 'and the same statistics');
is($standby->safe_psql('school', "SET ROLE reader; $check"), $primary->safe_psql('school', $check), 'for a role without rights too');
is($standby->safe_psql('school', 'SELECT wc_healthy(), wc_last_refresh($$allergy_summary$$) IS NOT NULL'), 't|t', 'which is good');
my (undef, $state, $message) = try_sql($standby, 'school', 'SELECT wc_schedule()');
is($state, '25006', 'schedules can\'t be changed there');
like($message, qr/HINT:.*primary/, 'and the hint says where');

# A REFRESH by hand, seen from there.
$primary->safe_psql('school', 'REFRESH MATERIALIZED VIEW mv_allergy_summary; ANALYZE mv_allergy_summary');
caught_up();
is($standby->safe_psql('school', q{SELECT refreshed_by, last_refresh IS NULL, row_count = (SELECT count(*) FROM mv_allergy_summary) FROM wc_view_stats('allergy_summary')}),
    'by hand|t|t', 'a refresh by hand is recognised, and its rows estimated');
$primary->safe_psql('school', 'DELETE FROM students; SELECT count(*) FROM wc_refresh_all()');
$primary->safe_psql('school', q{REFRESH MATERIALIZED VIEW mv_compliance_status WITH NO DATA});
caught_up();
is($standby->safe_psql('school', 'SELECT wc_healthy()'), 'f', 'what is critical is critical there too');
is($standby->safe_psql('school', $check), $primary->safe_psql('school', $check), 'and told in the same words');
$standby->stop;

# The library is not loaded at server start, and pg_cron neither: two warnings, a third for how a server logs by default, nothing critical.
$primary->safe_psql('school', q{SELECT count(*) FROM wc_refresh('compliance_status')});
$primary->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$primary->restart;
is($primary->safe_psql('school', q{SELECT check_name, status FROM wc_health_check() WHERE status <> 'ok' ORDER BY 1}),
    "library|warning\nprivacy of the log|warning\nschedule|warning", 'without preloading there are two warnings more');
is($primary->safe_psql('school', 'SELECT wc_healthy()'), 't', 'and the database is healthy');
is($primary->safe_psql('school', q{SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed'}), 5, 'refreshing works without it');

done_testing();
