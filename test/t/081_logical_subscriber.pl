# A logical subscriber that has the extension itself: what arrives by the initial copy, by apply and by TRUNCATE is noted there
# and gets into its views; the extension's own tables, which a publication FOR ALL TABLES has in it, stay each server's own.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

# One clock for both, so that their views can be compared.
my $conf = "max_logical_replication_workers = 12\nmax_replication_slots = 40\nwhitecross.now = '2026-02-03 15:00:00+00'\n";
my $publisher  = new_node('publisher',  conf => $conf, allows_streaming => 'logical');
my $subscriber = new_node('subscriber', conf => $conf, allows_streaming => 'logical');
make_database($publisher,  'district', 'reference', students => 40);
make_database($subscriber, 'district', 'reference', students => 0);

sub pub { return $publisher->safe_psql('district', $_[0]) }
sub sub_ { return $subscriber->safe_psql('district', $_[0]) }

# Waits until the subscriber has everything.
sub caught_up { $publisher->wait_for_catchup('all_tables'); return }

# The changes of base tables that the subscriber has noted since the last look, table by table.
my $seen;
sub look { $seen = sub_('SELECT pg_current_snapshot()'); return }

sub noted {
    my $new = sub_(qq{SELECT table_name, keys IS NULL AS whole, count(*) FROM wc_change WHERE NOT pg_visible_in_snapshot(xid, '$seen') GROUP BY 1, 2 ORDER BY 1, 2});
    look();
    return $new;
}

# The extension's own tables, without those that a refresh writes, and without the log of changes.
sub own_tables {
    my ($node) = @_;
    my @tables = split /\n/, $node->safe_psql('district', <<'SQL');
SELECT c.oid::regclass FROM pg_class AS c JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
 WHERE c.relkind = 'r' AND c.relname <> 'wc_change' ORDER BY c.relname
SQL
    return $node->safe_psql('district', join ' UNION ALL ', map { "SELECT '$_: ' || t::text FROM $_ AS t" } @tables);
}

sub view_contents {
    my ($node) = @_;
    return join "\n", map {
        $node->safe_psql('district', "SELECT '$_', count(*), md5(string_agg(t, E'\\n' ORDER BY t)) FROM (SELECT v::text AS t FROM $_ AS v) AS x")
    } VIEWS;
}

# Both servers' views brought up to date, and compared.
sub same_views {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    for my $node ($publisher, $subscriber) {
        is($node->safe_psql('district', 'SELECT DISTINCT status FROM wc_refresh_all()'), 'refreshed', "$name: the views of " . $node->name . ' are refreshed');
    }
    is(view_contents($subscriber), view_contents($publisher), "$name: the views of both have the same contents");
    is(sub_('SELECT sum(missing), sum(extra), sum(pending) FROM wc_verify()'), '0|0|0', "$name: which are right");
    return;
}

my $before = own_tables($subscriber);
sub_('DELETE FROM wc_change');

# ---- The initial copy.
pub('CREATE PUBLICATION all_tables FOR ALL TABLES');
is(pub(q{SELECT count(*) > 0 FROM pg_publication_tables WHERE tablename LIKE 'wc\_%'}), 't', 'the publication has our own tables in it');
my $connection = 'host=' . $publisher->host . ' port=' . $publisher->port . ' dbname=district user=postgres';
sub_("CREATE SUBSCRIPTION all_tables CONNECTION '$connection' PUBLICATION all_tables");
$subscriber->wait_for_subscription_sync($publisher, 'all_tables', 'district');
is(sub_('SELECT count(*) FROM students'), '40', 'the students have been copied');
is( sub_(q{SELECT count(*), bool_and(s.id IS NOT NULL) FROM (SELECT DISTINCT keys FROM wc_change WHERE table_name = 'students') AS c
             LEFT JOIN students AS s ON s.id::text = ANY (c.keys)}), '40|t', 'each copied student is noted, once');
is(sub_(q{SELECT count(*) FROM wc_change WHERE table_name LIKE 'wc%' OR table_name NOT IN (SELECT table_name FROM wc_default_column)}), '0',
    'only base tables are');
same_lines(own_tables($subscriber), $before, 'the initial copy leaves our own tables alone');
same_views('the initial copy');
look();

# ---- What is applied.
pub(q{UPDATE students SET "lastName" = upper("lastName") WHERE id IN (SELECT id FROM students ORDER BY id LIMIT 3)});
caught_up();
is(noted(), 'students|f|3', 'an applied UPDATE is noted');
pub(q{UPDATE students SET "createdAt" = now()});
caught_up();
is(noted(), '', 'one that changes no column a view reads is not');
pub(q{INSERT INTO allergies (id, "studentId", allergen, "allergyType", severity, "isActive")
      SELECT gen_random_uuid(), id, 'Peanut', 'FOOD', 'SEVERE', true FROM students ORDER BY id LIMIT 5});
caught_up();
is(noted(), 'allergies|f|5', 'applied INSERTs are noted');
pub(q{DELETE FROM allergies WHERE allergen = 'Peanut' AND "studentId" IN (SELECT id FROM students ORDER BY id LIMIT 2)});
caught_up();
like(noted(), qr/^allergies\|f\|[2-9]$/, 'applied DELETEs are noted');
pub(q{BEGIN; UPDATE students SET grade = '5' WHERE grade <> '5'; ROLLBACK});
caught_up();
is(noted(), '', 'what is rolled back is not');
same_views('apply');
pub(q{UPDATE students SET "firstName" = 'Ann' WHERE id IN (SELECT id FROM students ORDER BY id DESC LIMIT 3);
      DELETE FROM allergies WHERE allergen = 'Peanut' AND "studentId" IN (SELECT id FROM students ORDER BY id LIMIT 3)});
caught_up();
sub_('DELETE FROM wc_refresh_log');
same_views('apply, by keys');
is(sub_('SELECT DISTINCT mode FROM wc_refresh_log'), 'incremental', 'the subscriber refreshes by the keys that were applied');
is(sub_(q{SELECT keys_refreshed FROM wc_refresh_log WHERE view_name = 'mv_compliance_status'}), '3', 'and by no others');
look();

pub('TRUNCATE allergies, vaccinations');
caught_up();
is(noted(), "allergies|t|1\nvaccinations|t|1", 'an applied TRUNCATE is noted for the whole table');
pub('TRUNCATE allergies');
caught_up();
same_views('TRUNCATE');

# ---- What the publisher's extension does to its own tables.
my ($registry) = grep { 1 } sub_('SELECT md5(string_agg(r::text, E\'\n\' ORDER BY name)) FROM wc_registry AS r');
my $log = sub_('SELECT count(*), max(id) FROM wc_refresh_log');
my $state = sub_('SELECT md5(string_agg(s::text, E\'\n\' ORDER BY view_name)) FROM wc_view_state AS s');
my $changes = sub_('SELECT count(*) FROM wc_change');
pub(q{SELECT wc_configure('grades', 'K,1,2,3,4,5,6,7,8,9,10,11,12,13');
      SELECT wc_map_column('users', 'lastName', '"lastName" || '', RN''');
      SELECT wc_set_schedule('mv_allergy_summary', 'daily', '04:30');
      SELECT wc_install();
      SELECT wc_refresh_all(workers => 0);
      SELECT wc_map_column('users', 'lastName', NULL);
      SELECT wc_disable('mv_appointment_statistics');
      DELETE FROM wc_change; DELETE FROM wc_refresh_log; DELETE FROM wc_view_state});
caught_up();
is(sub_('SELECT count(*), max(id) FROM wc_refresh_log'), $log, 'the publisher\'s refresh log is not the subscriber\'s');
is(sub_('SELECT md5(string_agg(s::text, E\'\n\' ORDER BY view_name)) FROM wc_view_state AS s'), $state, 'nor is its state of the views');
is(sub_('SELECT md5(string_agg(r::text, E\'\n\' ORDER BY name)) FROM wc_registry AS r'), $registry, 'nor its registry');
is(sub_('SELECT count(*) FROM wc_site_mapping'), '0', 'nor its mapping');
is(sub_(q{SELECT value FROM wc_configuration WHERE name = 'grades'}), 'K,1,2,3,4,5,6,7,8,9,10,11,12', 'nor its settings');
is(sub_('SELECT count(*) FROM wc_change'), $changes, 'nor its changes');
is(sub_(q{SELECT count(*) FROM wc_objects() WHERE status <> 'installed'}), '0', 'every object of the subscriber is as it was');
pub(q{SELECT wc_configure('grades', NULL); SELECT wc_enable('mv_appointment_statistics'); SELECT wc_install()});

# The subscriber's own changes are noted as ever, and meet no row of the publisher's: transaction ids of both run through
# the same numbers. One after the other: at the same time, each could hold rows that the other waits for.
pub('UPDATE students SET "lastName" = lower("lastName")') for 1 .. 5;
caught_up();
sub_('UPDATE students SET "firstName" = upper("firstName")');
is(sub_(q{SELECT count(DISTINCT keys) FROM wc_change WHERE table_name = 'students'}), '40', 'changes of its own and applied ones stand beside each other');
is(sub_(q{SELECT count(*) FROM pg_stat_subscription_stats WHERE apply_error_count + sync_error_count > 0}), '0', 'no error has stopped the apply');

# A TRUNCATE of the publisher's log is applied here too, and takes what the subscriber had noted: it is seen by the log's file.
sub_('SELECT wc_refresh_all(); DELETE FROM wc_refresh_log');
pub('UPDATE students SET "firstName" = \'Bob\'; TRUNCATE wc_change');
caught_up();
same_views('the publisher empties its log');
is(sub_(q{SELECT count(*) FROM wc_refresh_log WHERE mode = 'incremental'}), '0', 'the subscriber has computed its views as a whole');

# ---- A subscriber whose guards have been switched off and on again has them mended by wc_install().
sub_('ALTER TABLE wc_site_setting DISABLE TRIGGER ALL; ALTER TABLE wc_site_setting ENABLE TRIGGER ALL');
sub_('SELECT wc_install()');
is(sub_(q{SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgname = 'whitecross_ignore_replicated'}), 'R', 'wc_install() puts the guards of our tables in order');

sub_('DROP SUBSCRIPTION all_tables');
done_testing();
