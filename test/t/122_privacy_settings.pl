# What wc_privacy_settings() says of each setting, of roles and databases; and that its commands do what they promise: a
# server that has been told all of them keeps a marker out of its log that was in it before.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Test;

my $node = new_node('privacy', preload => 'pg_stat_statements,whitecross', conf => "fsync = off\nlog_statement = none\n");
$node->safe_psql('postgres', 'CREATE DATABASE school');
$node->safe_psql('school', 'SET client_min_messages = warning; CREATE EXTENSION whitecross; CREATE ROLE nurse LOGIN; CREATE ROLE "Re porter" LOGIN');

# rows(SQL before): what a session says, as 'setting source' => [value, risk, command].
sub rows {
    my ($before) = @_;
    return map { my ($key, @rest) = split /\|/, $_, -1; $key => \@rest }
      split /\n/, $node->safe_psql('school', "LOAD 'auto_explain'; $before; SELECT setting || ' ' || source, value, risk, command FROM wc_privacy_settings()");
}

# ---- A server as it comes.
my %row = rows('');
my %risk = map { (split / /)[0] => $row{$_}[1] } keys %row;
is(join(' ', grep { $risk{$_} eq 'critical' } sort keys %risk), 'log_error_verbosity log_min_error_statement', 'the defaults log failing rows and failing statements');
is(join(' ', grep { $risk{$_} eq 'warning' } sort keys %risk), 'log_parameter_max_length pg_stat_statements.track pg_stat_statements.track_utility', 'and are ready to log parameters');
is($row{'log_error_verbosity default'}[2], 'ALTER SYSTEM SET log_error_verbosity = terse;', 'each has its command');
is($node->safe_psql('school', q{SELECT bool_and((command IS NULL) = (risk = 'ok')), bool_and(why <> '' AND advice <> '' AND value IS NOT NULL), count(*) = count(DISTINCT setting) FROM wc_privacy_settings()}), 't|t|t', 'and what is ok has none');
is($node->safe_psql('school', 'SET ROLE nurse; SELECT count(*) FROM wc_privacy_settings()'), $node->safe_psql('school', 'SELECT count(*) FROM wc_privacy_settings()'), 'any role may call it');

# ---- Each setting, in a session that has changed it: setting => [value => risk, ...].
my $quiet = 'SET log_min_error_statement = panic';
my @judged = (
    [ log_error_verbosity => terse => 'ok', default => 'critical', verbose => 'critical' ],
    [ log_min_error_statement => panic => 'ok', fatal => 'warning', log => 'warning', error => 'critical', debug5 => 'critical' ],
    [ log_parameter_max_length_on_error => 0 => 'ok', 1 => 'critical', -1 => 'critical' ],
    [ log_statement => none => 'ok', ddl => 'warning', mod => 'critical', all => 'critical' ],
    [ log_min_duration_statement => -1 => 'ok', 0 => 'critical', '5s' => 'critical' ],
    [ log_min_duration_sample => -1 => 'ok', 0 => 'critical', '250ms' => 'critical' ],
    [ log_transaction_sample_rate => '0' => 'ok', '0.01' => 'critical', 1 => 'critical' ],
    [ log_parameter_max_length => 0 => 'ok', '1kB' => 'warning', -1 => 'warning' ],
    [ log_duration => off => 'ok', on => 'ok' ],
    [ log_min_messages => warning => 'ok', error => 'ok', notice => 'warning', debug1 => 'warning', debug2 => 'critical', debug5 => 'critical' ],
    [ debug_print_parse => off => 'ok', on => 'critical' ],
    [ debug_print_rewritten => off => 'ok', on => 'critical' ],
    [ debug_print_plan => off => 'ok', on => 'critical' ],
    [ log_statement_stats => off => 'ok', on => 'critical' ],
    [ log_executor_stats => off => 'ok', on => 'critical' ],
    [ log_lock_waits => off => 'ok', on => 'warning' ],
    [ log_temp_files => -1 => 'ok', 0 => 'warning', '1MB' => 'warning' ],
    [ 'auto_explain.log_min_duration' => -1 => 'ok', 0 => 'critical', '1s' => 'critical' ],
    [ 'pg_stat_statements.track_utility' => off => 'ok', on => 'warning' ],
    [ 'pg_stat_statements.track' => none => 'ok', top => 'warning', all => 'warning' ],
    [ track_activities => off => 'ok', on => 'ok' ],
);
my (@statements, @expected);
for my $case (@judged) {
    my ($setting, @values) = @$case;
    while (my ($value, $risk) = splice @values, 0, 2) {
        push @statements, "SET $setting = '$value'; SELECT risk, command IS NOT NULL FROM wc_privacy_settings() WHERE setting = '$setting'; RESET $setting;";
        push @expected, [ "$setting = $value", $risk . '|' . ($risk eq 'ok' ? 'f' : 't') ];
    }
}
my @got = split /\n/, $node->safe_psql('school', join "\n", "LOAD 'auto_explain';", @statements);
is(shift @got, $_->[1], $_->[0]) for @expected;
# What depends on another.
my $of = sub { my ($setting) = @_; return "SELECT risk FROM wc_privacy_settings() WHERE setting = '$setting'" };
is($node->safe_psql('school', "SET log_statement = 'mod'; " . $of->('log_parameter_max_length')), 'critical', 'parameters go with the statements that are logged');
is($node->safe_psql('school', 'SET log_min_duration_statement = 100; ' . $of->('log_parameter_max_length')), 'critical', 'with slow ones too');
is($node->safe_psql('school', "$quiet; SET log_statement_stats = on; " . $of->('log_statement_stats')), 'ok', 'an entry without its statement tells nothing');
is($node->safe_psql('school', "$quiet; SET log_lock_waits = on; " . $of->('log_lock_waits')), 'ok', 'nor does a wait');
is($node->safe_psql('school', "SET log_lock_waits = on; SELECT command FROM wc_privacy_settings() WHERE setting = 'log_lock_waits'"), 'ALTER SYSTEM SET log_min_error_statement = panic;', 'which may then stay on');

# ---- Roles and databases.
$node->safe_psql('postgres', <<'SQL');
ALTER ROLE nurse SET log_statement = 'all';
ALTER ROLE "Re porter" IN DATABASE school SET log_min_duration_statement = '250ms';
ALTER DATABASE school SET debug_print_plan = 'yes';
ALTER ROLE ALL SET log_parameter_max_length = '0';
ALTER ROLE nurse SET work_mem = '8MB';
GRANT pg_monitor TO "Re porter";
SQL
%row = rows('');
is_deeply($row{'log_statement role nurse'}, [ 'all', 'critical', 'ALTER ROLE nurse RESET log_statement;' ], 'a role\'s own setting');
is_deeply($row{'log_min_duration_statement role "Re porter" in database school'}, [ '250ms', 'critical', 'ALTER ROLE "Re porter" IN DATABASE school RESET log_min_duration_statement;' ], 'one of a role in a database');
is_deeply($row{'debug_print_plan database school'}, [ 'yes', 'critical', 'ALTER DATABASE school RESET debug_print_plan;' ], 'one of a database, as it was written');
is_deeply($row{'log_parameter_max_length all roles'}, [ '0', 'ok', '' ], 'one of all roles');
is_deeply([ @{ $row{'track_activities default'} }[ 1, 2 ] ], [ 'warning', '' ], 'somebody reads what others run: a warning, for which there is no statement');
like($node->safe_psql('school', q{SELECT why FROM wc_privacy_settings() WHERE setting = 'track_activities'}), qr/: "Re porter"$/, 'which says who');
is($node->safe_psql('school', q{SELECT count(*) FROM wc_privacy_settings() WHERE setting = 'work_mem'}), 0, 'what is no matter of privacy is left out');

# ---- The commands, against what the log really says.
my $marker = 'SSN-131-31-3131';
$node->safe_psql('school', "CREATE TABLE pupil (ssn text PRIMARY KEY, age int CHECK (age > 0)); INSERT INTO pupil VALUES ('$marker', 9)");
sub leaks {
    my $from = -s $node->logfile;
    for my $role ('postgres', 'nurse') {
        $node->psql('school', <<"SQL", on_error_stop => 0, extra_params => [ '-U', $role ]);
INSERT INTO pupil VALUES ('$marker', 8);
INSERT INTO pupil VALUES ('$marker 2', -8);
SELECT 1/0 WHERE '$marker' <> now()::text;
SELECT count(*) FROM pupil WHERE ssn = '$marker';
DO \$do\$ BEGIN RAISE NOTICE '$marker'; END \$do\$;
PREPARE p AS SELECT 1/length(substr(\$1, 100)); EXECUTE p('$marker');
SELECT no_such_column, '$marker';
SQL
    }
    my $log = slurp_file($node->logfile, $from);
    my $times = () = $log =~ /$marker/g;
    return $times;
}
$node->safe_psql('postgres', "ALTER SYSTEM SET $_; SELECT pg_reload_conf()") for "log_statement = 'mod'", 'log_min_duration_statement = 0', 'log_min_messages = notice', 'log_parameter_max_length_on_error = -1', 'debug_print_parse = on';
$node->safe_psql('postgres', 'GRANT ALL ON DATABASE school TO nurse');
$node->safe_psql('school', 'GRANT ALL ON pupil TO nurse');
cmp_ok(leaks(), '>', 20, 'a server that says all it can leaks the marker');
# What a role or a database says stands before the configuration: what that is shows once it is gone.
for my $round (1, 2) {
    my @commands = split /\n/, $node->safe_psql('school', q{SELECT DISTINCT command FROM wc_privacy_settings() WHERE risk <> 'ok' AND command IS NOT NULL ORDER BY command});
    $node->safe_psql('school', $_) for @commands;
    $node->safe_psql('school', 'SELECT pg_reload_conf()');
}
is($node->safe_psql('school', q{SELECT string_agg(setting || ' ' || risk, ', ') FROM wc_privacy_settings() WHERE risk <> 'ok'}), 'track_activities warning', 'after its commands nothing is left but what no command mends');
is(leaks(), 0, 'and the log is free of it');

done_testing();
