# On a standby every way to refresh is refused at once, with the hint where to go; what the primary has refreshed is there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $primary = new_node('primary', allows_streaming => 1, conf => "hot_standby_feedback = on\n");
make_database($primary, 'district', 'reference', students => 30);
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

$primary->safe_psql('district', q{UPDATE students SET "firstName" = 'Renamed' WHERE id = (SELECT min(id::text)::uuid FROM students WHERE "deletedAt" IS NULL)});
is($primary->safe_psql('district', q{SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed'}), 5, 'refreshed on the primary');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
for my $view (VIEWS) {
    my $contents = "SELECT md5(string_agg(v::text, ',' ORDER BY v::text)) FROM $view AS v";
    is($standby->safe_psql('district', $contents), $primary->safe_psql('district', $contents), "$view is the same on the standby");
}
is($standby->safe_psql('district', q{SELECT count(*) FROM wc_refresh_log WHERE in_worker}), 5, 'and so is the log');

for my $call (q{wc_refresh_all()}, q{wc_refresh_all('full', 0, 'skip')}, q{wc_refresh('allergy_summary')}, q{wc_refresh_group('hourly')}) {
    my ($name) = $call =~ /(\w+)/;
    my (undef, $state, $err) = try_sql($standby, 'district', "SELECT * FROM $call");
    is($state, '25006', "$call on the standby is refused");
    like($err, qr/cannot execute $name\(\) during recovery/, 'by its name');
    like($err, qr/HINT:\s+Run it on the primary server/, 'with a hint');
}
is($standby->safe_psql('district', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'whitecross refresh'}), 0, 'no worker was started');

$standby->promote;
is($standby->safe_psql('district', q{SELECT count(*) FROM wc_refresh_all() WHERE status = 'refreshed'}), 5, 'once promoted, it refreshes');

$standby->stop;
$primary->stop;
done_testing();
