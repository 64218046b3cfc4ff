# wc_pool_profile(): sizes fit the server, the limits of its roles and databases; wc_pgbouncer_ini(): the real PgBouncer takes
# every line of it, whatever the names; wc_apply_session_limits(), wc_reset_session_limits(): who may, what they change, what a
# dump takes along, and that nothing of what somebody else has set is lost.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Pooler;
use WhiteCross::Test;

my $node = new_node('pools', conf => "listen_addresses = '127.0.0.1'\nfsync = off\nmax_connections = 100\n", start => 0);
# Through TCP nobody comes in without a password.
WhiteCross::Pooler->new($node)->require_passwords;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE school');
$node->safe_psql('school', 'SET client_min_messages = warning; CREATE EXTENSION whitecross');

sub school { return $node->safe_psql('school', shift) }

# of(PROFILE CALL, SETTING[, OBJECT]): the value that it gives.
sub of {
    my ($call, $setting, $object) = @_;
    my $where = defined $object ? "= \$o\$$object\$o\$" : 'IS NULL';
    return school("SET client_min_messages = warning; SELECT value FROM wc_pool_profile($call) WHERE setting = '$setting' AND object $where");
}

# ---- The profiles.
my %expected = (
    production => { default_pool_size => 20, 'pool.max' => 20, max_client_conn => 500, idle_in_transaction_session_timeout => '30s', 'dialectOptions.idle_in_transaction_session_timeout' => 30000 },
    development => { default_pool_size => 10, 'pool.max' => 10, max_client_conn => 100, idle_in_transaction_session_timeout => '5min', 'dialectOptions.idle_in_transaction_session_timeout' => 300000 });
for my $profile (sort keys %expected) {
    my %want = (%{ $expected{$profile} }, pool_mode => 'transaction', min_pool_size => 2, reserve_pool_size => 0, query_wait_timeout => 30, server_idle_timeout => 10,
        server_check_query => 'select 1', statement_timeout => '30s', 'pool.min' => 2, 'pool.acquire' => 30000, 'pool.idle' => 10000, 'dialectOptions.application_name' => 'white-cross',
        'dialectOptions.statement_timeout' => 30000);
    my %got = map { split /\|/ } split /\n/, school("SELECT setting, value FROM wc_pool_profile('$profile') WHERE object IS NULL");
    is_deeply({ map { $_ => $got{$_} } keys %want }, \%want, "$profile has the values that it stands for");
    is(school("SELECT count(*) FROM wc_pool_profile('$profile') WHERE value IS NULL OR place IS NULL OR coalesce(why, '') = ''"), 0, 'each with its place and its reason');
    is(school("SELECT string_agg(DISTINCT place, ';' ORDER BY place) FROM wc_pool_profile('$profile')"), 'application;pgbouncer.ini;pgbouncer.ini, [databases];role', 'which are these');
}

# ---- Sizes: 100 connections, less 3 reserved, less 10 for what connects directly, are 87 for pools.
sub notice { my (undef, undef, $err) = try_sql($node, 'school', shift); return $err }
is(of(q('production'), 'max_db_connections', 'school'), 87, 'the whole room for the only database');
unlike(notice(q{SELECT count(*) FROM wc_pool_profile('production')}), qr/NOTICE/, 'without roles there is nothing to complain of');
my @fit = ([ 1, 20, 2 ], [ 4, 20, 2 ], [ 5, 17, 2 ], [ 29, 3, 2 ], [ 44, 1, 1 ], [ 87, 1, 1 ], [ 90, 1, 1 ]);
my $made = 0;
for my $case (@fit) {
    my ($roles, $size, $least) = @$case;
    school(join ';', map { "CREATE ROLE clerk$_ LOGIN" } $made + 1 .. $roles);
    $made = $roles;
    is(of(q('production'), 'default_pool_size') . ' ' . of(q('production'), 'min_pool_size'), "$size $least", "$roles roles: pools of $size");
    cmp_ok($size * $roles, '<=', 87, 'which fit') if $roles <= 87;
    my $notice = notice(q{SELECT count(*) FROM wc_pool_profile('production')});
    if ($size == 20) { unlike($notice, qr/NOTICE/, 'and nothing is said') }
    else             { like($notice, qr/NOTICE: .*pools of 20 for $roles pairs of role and database do not fit/, 'and it is said that they are smaller than wanted') }
}
like(notice(q{SELECT wc_pgbouncer_ini('production')}), qr/NOTICE: .*DETAIL: .*not even one for each pair.*set max_connections to 2003\./s, 'more pairs than connections: said with the file too, and how many it would take');
is(of(q('production'), 'max_db_connections', 'school'), 87, 'the limit of the database holds');
is(of(q('production', roles => '{clerk1,clerk2}'), 'default_pool_size'), 20, 'roles can be named');
is(of(q('production', roles => '{clerk1,clerk1}'), 'default_pool_size'), 20, 'twice too');
# The number of the hint is the least that does.
$node->append_conf('postgresql.conf', "max_connections = 2003\n");
$node->restart;
is(of(q('production'), 'default_pool_size'), 20, 'with as many connections as were asked for they fit');
$node->append_conf('postgresql.conf', "max_connections = 2002\n");
$node->restart;
is(of(q('production'), 'default_pool_size'), 19, 'with one less they do not');
$node->append_conf('postgresql.conf', "max_connections = 100\n");
$node->restart;
school(join ';', map { "DROP ROLE clerk$_" } 3 .. $made);

# Databases, by the pairs that they have; templates, what accepts no connection and superusers don't count.
$node->safe_psql('postgres', $_) for 'CREATE DATABASE library', 'CREATE DATABASE closed ALLOW_CONNECTIONS false', 'CREATE DATABASE empty CONNECTION LIMIT 0', 'CREATE DATABASE pgbouncer', 'CREATE DATABASE "*"',
  'REVOKE CONNECT ON DATABASE library FROM PUBLIC', 'GRANT CONNECT ON DATABASE library TO clerk1', 'CREATE ROLE boss SUPERUSER LOGIN', 'CREATE ROLE walker REPLICATION LOGIN',
  'CREATE ROLE team', 'CREATE ROLE locked LOGIN CONNECTION LIMIT 0', 'CREATE ROLE whitecross_monitor LOGIN';
is(school(q{SELECT string_agg(object || '=' || value, ' ' ORDER BY object) FROM wc_pool_profile('production') WHERE setting = 'max_db_connections'}), 'library=29 school=58', 'two thirds of the pairs, two thirds of the room');
is($node->safe_psql('library', q{SELECT count(*) FROM pg_database WHERE datname = current_database()}), 1, 'a database without the extension');
$node->safe_psql('postgres', 'ALTER DATABASE library CONNECTION LIMIT 7; ALTER ROLE clerk2 CONNECTION LIMIT 6');
is(of(q('production'), 'max_db_connections', 'library'), 7, "a database's own limit");
is(of(q('production'), 'max_user_connections', 'clerk2'), 6, "a role's own limit");
is(of(q('production', databases => '{library}'), 'max_user_connections', 'clerk2'), '', 'which does not matter where it may not connect');
$node->safe_psql('postgres', 'ALTER ROLE clerk2 CONNECTION LIMIT 20');
is(of(q('production'), 'max_user_connections', 'clerk2'), '', 'nor where it is enough');

# ---- What can't be asked.
my @wrong = (
    [ 'wc_pool_profile(NULL)', '22004' ], [ q{wc_pool_profile('Production')}, '22023' ], [ q{wc_pool_profile('')}, '22023' ], [ q{wc_pool_profile('production', '{NULL}')}, '22004' ],
    [ q{wc_pool_profile('production', databases => '{school,NULL}')}, '22004' ], [ q{wc_pool_profile('production', '{nobody}')}, '42704' ], [ q{wc_pool_profile('production', '{team}')}, '22023' ],
    [ q{wc_pool_profile('production', '{locked}')}, '22023' ], [ q{wc_pool_profile('production', databases => '{nothing}')}, '3D000' ], [ q{wc_pool_profile('production', databases => '{closed}')}, '22023' ],
    [ q{wc_pool_profile('production', databases => '{empty}')}, '22023' ], [ q{wc_pool_profile('production', databases => '{pgbouncer}')}, '22023' ], [ q{wc_pool_profile('production', databases => '{*}')}, '22023' ],
    [ q{wc_pgbouncer_ini('nonsense')}, '22023' ], [ q{wc_pgbouncer_ini(NULL)}, '22004' ], [ q{wc_pgbouncer_ini('production', settings => NULL)}, '22004' ], [ q{wc_pgbouncer_ini('production', settings => '[]')}, '22023' ],
    [ q{wc_pgbouncer_ini('production', settings => '{"a b": 1}')}, '22023' ], [ q{wc_pgbouncer_ini('production', settings => '{"a\n[x]": 1}')}, '22023' ],
    [ q{wc_pgbouncer_ini('production', settings => '{"logfile": "x\nadmin_users = me"}')}, '22023' ], [ q{wc_pgbouncer_ini('production', settings => '{"logfile": {}}')}, '22023' ],
    [ q{wc_pgbouncer_ini('production', host => E'x\ny')}, '22023' ]);
is((try_sql($node, 'school', "SELECT * FROM $_->[0]"))[1], $_->[1], "$_->[0] fails") for @wrong;
is(school(q{SET ROLE clerk1; SELECT count(*) > 20 FROM wc_pool_profile('development')}), 't', 'any role may ask');

# ---- PgBouncer takes it, with names that are hard to write; the accounts are the server's, with their SCRAM secrets.
my $role     = q{o'rd "er" %s; [users] #=};
my $database = q{clinic "east"; %include x = 'y' };
my $quoted   = sub { my ($name) = @_; $name =~ s/"/""/g; return qq("$name") };
$node->safe_psql('postgres', $_) for 'CREATE ROLE ' . $quoted->($role) . q{ LOGIN PASSWORD 'secret' CONNECTION LIMIT 200}, q{ALTER ROLE clerk1 PASSWORD 'secret' CONNECTION LIMIT 4},
  'CREATE DATABASE ' . $quoted->($database), qq{CREATE DATABASE "two\nlines"}, 'CREATE DATABASE "Mixed.Case-1_2"';
for my $profile ('production', 'development') {
    my $pooler = WhiteCross::Pooler->new($node);
    my $ini = school("SET client_min_messages = warning; SELECT wc_pgbouncer_ini('$profile', settings => '{@{[ $pooler->settings ]}}')");
    $pooler->start($ini);
    is($pooler->complaints, '', "$profile: PgBouncer starts without a warning");
    my %config = map { $_->{key} => $_->{value} } $pooler->show('CONFIG');
    my %want = map { split /\|/ } split /\n/, school("SET client_min_messages = warning; SELECT setting, value FROM wc_pool_profile('$profile') WHERE place = 'pgbouncer.ini'");
    is_deeply({ map { $_ => $config{$_} } keys %want }, \%want, 'and has every value of the profile');
    is($config{auth_type}, 'scram-sha-256', 'and asks for passwords');

    local $ENV{PGPASSWORD} = 'secret';
    for my $case ([ 'school', $role ], [ 'school', 'clerk1' ], [ 'library', 'clerk1' ], [ $database, $role ], [ $database, 'clerk1' ], [ "two\nlines", $role ], [ 'Mixed.Case-1_2', 'clerk1' ]) {
        my ($to, $as) = @$case;
        my ($out, $err) = run_command([ 'psql', '-XAtq', '-d', $pooler->connstr($to, $as), '-c', 'SELECT current_database(), session_user' ]);
        is("$err$out", "$to|$as", 'a client gets through: ' . ($to =~ s/\n/ /r));
    }
    my (undef, $err) = run_command([ 'psql', '-XAtq', '-d', $pooler->connstr('library', $role), '-c', 'SELECT 1' ]);
    like($err, qr/permission denied for database "library"/, 'the server still says who may connect');
    local $ENV{PGPASSWORD} = 'guess';
    (undef, $err) = run_command([ 'psql', '-XAtq', '-d', $pooler->connstr('school', 'clerk1'), '-c', 'SELECT 1' ]);
    like($err, qr/authentication failed/, 'PgBouncer who may come');
    my %limit = map { $_->{name} => $_->{max_connections} } $pooler->show('DATABASES');
    is($limit{library}, of("'$profile'", 'max_db_connections', 'library'), 'a database has its limit');
    is($limit{$database}, of("'$profile'", 'max_db_connections', $database), 'one whose name is no key too');
    $pooler->stop;
    is_deeply([ grep { !/(permission denied for database "library"|password authentication failed|SASL authentication failed)/ } split /\n/, $pooler->complaints ], [], 'nothing else was amiss');
}
like(school(q{SET client_min_messages = warning; SELECT wc_pgbouncer_ini('production')}), qr/^clerk1 = max_user_connections=4$/m, 'a role has its limit');
school('ALTER ROLE ' . $quoted->($role) . ' CONNECTION LIMIT 3');
like(school(q{SET client_min_messages = warning; SELECT wc_pgbouncer_ini('production')}), qr/^; .*: \Q$role\E = max_user_connections=3$/m, 'one whose name is no key is told of');
# The host, however it is written, and lines of one's own.
like(school(q{SELECT wc_pgbouncer_ini('production', host => '/run/it''s here')}), qr{^school = host='/run/it''s here' port=\d+ }m, 'a folder as host');
like(school(q{SELECT wc_pgbouncer_ini('production', host => '')}), qr{^school = port=\d+ }m, 'no host: the Unix socket that PgBouncer knows');
my $own = school(q{SELECT wc_pgbouncer_ini('production', settings => '{"logfile": null, "verbose": 1, "log_connections": true, "default_pool_size": 7, "query_timeout": 40.5}')});
unlike($own, qr/^logfile/m, 'null leaves a line out');
like($own, qr/^$_$/m, $_) for 'verbose = 1', 'log_connections = 1', 'default_pool_size = 7', 'query_timeout = 40\.5';
is(() = $own =~ /^default_pool_size/mg, 1, 'once');

# ---- Limits of a role.
sub limits { my ($who) = @_; return school("SELECT coalesce(string_agg(c, ' ' ORDER BY c), '') FROM pg_db_role_setting AS s, unnest(setconfig) AS c WHERE setdatabase = 0 AND setrole = (SELECT oid FROM pg_roles WHERE rolname = \$r\$$who\$r\$) AND c NOT LIKE 'whitecross.%'") }
sub apply { my ($who, $profile) = @_; return school("SELECT setting, previous, value, action, reason FROM wc_apply_session_limits(\$r\$$who\$r\$, '$profile')") }
sub give_back { my ($who) = @_; return school("SELECT setting, previous, value, action, reason FROM wc_reset_session_limits(\$r\$$who\$r\$)") }
my ($statement, $idle) = ('statement_timeout', 'idle_in_transaction_session_timeout');

for my $who ($role, 'clerk1') {
    my $name = $quoted->($who);
    school("ALTER ROLE $name SET work_mem = '8MB'");
    is(apply($who, 'production'), "$statement||30s|set|\n$idle||30s|set|", "limits of $who: it says what it set");
    is(limits($who), "$idle=30s $statement=30s work_mem=8MB", 'and has');
    is(apply($who, 'production'), "$statement|30s|30s|unchanged|\n$idle|30s|30s|unchanged|", 'again: nothing to do');
    is(apply($who, 'development'), "$statement|30s|30s|unchanged|\n$idle|30s|5min|changed|", 'another profile');
    is(give_back($who), "$statement|30s||removed|\n$idle|5min||removed|", 'taken back: gone');
    is(limits($who), 'work_mem=8MB', 'and nothing else');
    is(school("SELECT count(*) FROM pg_db_role_setting, unnest(setconfig) AS c WHERE c LIKE '%whitecross.session_limits%'"), 0, 'no trace is left');
    is(give_back($who), '', 'a second time there is nothing to take back');
    like(notice("SELECT * FROM wc_reset_session_limits(\$r\$$who\$r\$)"), qr/NOTICE: .*has no limits/, 'which it says');

    # What was there before comes back; what is set afterwards stays.
    school("ALTER ROLE $name SET $statement = 5000; ALTER ROLE $name SET $idle = '30s'");
    is(apply($who, 'production'), "$statement|5000|30s|changed|\n$idle|30s|30s|unchanged|", 'there were limits already');
    is(apply($who, 'development'), "$statement|30s|30s|unchanged|\n$idle|30s|5min|changed|", 'and another profile over that');
    is(give_back($who), "$statement|30s|5000|restored|\n$idle|5min|30s|restored|", 'what was there before the first comes back');
    is(limits($who), "$idle=30s $statement=5000 work_mem=8MB", 'as it was written');
    is(apply($who, 'production'), "$statement|5000|30s|changed|\n$idle|30s|30s|unchanged|", 'once more');
    school("ALTER ROLE $name SET $statement = '10min'; ALTER ROLE $name RESET $idle");
    is(give_back($who), "$statement|10min|10min|kept|somebody else has changed it since\n$idle|||kept|somebody else has changed it since", 'what somebody has changed since is left alone');
    is(apply($who, 'production'), "$statement|10min|30s|changed|\n$idle||30s|set|", 'and is what was there before, for the next');
    school("ALTER ROLE $name SET $statement = '1min'");
    is(apply($who, 'production'), "$statement|1min|30s|changed|\n$idle|30s|30s|unchanged|", 'changed by hand, and applied again');
    is(give_back($who), "$statement|30s|1min|restored|\n$idle|30s||removed|", 'the last that was set by hand comes back');
    school("ALTER ROLE $name RESET ALL");
    apply($who, 'production');
    school("ALTER ROLE $name RESET ALL");
    is(give_back($who), '', 'RESET ALL forgets all');

    # All or nothing.
    school("BEGIN; SELECT wc_apply_session_limits(\$r\$$who\$r\$, 'production'); ROLLBACK");
    is(limits($who), '', 'in a transaction that is rolled back nothing happened');

    # One database's own setting wins, and is told of.
    my $where = $quoted->($database);
    school("ALTER ROLE $name IN DATABASE $where SET $statement = '1h'");
    is(apply($who, 'production'), "$statement||30s|set|\n$statement|1h|1h|overridden|ALTER ROLE @{[ $node->safe_psql('school', qq{SELECT quote_ident(\$r\$$who\$r\$)}) ]} IN DATABASE $where RESET $statement;\n$idle||30s|set|",
        'limits that one database has its own of');
    give_back($who);
    school("ALTER ROLE $name IN DATABASE $where RESET ALL");
}

# ---- Two sessions at once, of two databases: the second waits for the end of the first, and goes on from what that has left.
$node->safe_psql('postgres', 'CREATE DATABASE annex');
$node->safe_psql('annex', 'SET client_min_messages = warning; CREATE EXTENSION whitecross');
my $waits = sub { my ($pid) = @_; return qq{SELECT count(*) > 0 FROM pg_locks WHERE pid = $pid AND NOT granted} };
my $shown = 'SELECT setting, previous, value, action FROM';
my ($apply, $develop, $reset) = map { "$shown $_" } q{wc_apply_session_limits('clerk2', 'production')}, q{wc_apply_session_limits('clerk2', 'development')}, q{wc_reset_session_limits('clerk2')};
my ($none, $both) = ('', "$idle=30s $statement=30s");
for my $case (
    [ 'two set the same', $apply, 'COMMIT', 'school', $apply, "$statement|30s|30s|unchanged\n$idle|30s|30s|unchanged", $both ],
    [ 'of another database', $apply, 'COMMIT', 'annex', $develop, "$statement|30s|30s|unchanged\n$idle|30s|5min|changed", "$idle=5min $statement=30s" ],
    [ 'the first is rolled back', $apply, 'ROLLBACK', 'annex', $apply, "$statement||30s|set\n$idle||30s|set", $both ],
    [ 'one sets, one takes back', $apply, 'COMMIT', 'annex', $reset, "$statement|30s||removed\n$idle|30s||removed", $none ],
    [ 'one takes back, one sets', $reset, 'COMMIT', 'annex', $apply, "$statement||30s|set\n$idle||30s|set", $both ],
    [ 'both take back', $reset, 'COMMIT', 'annex', $reset, '', $none ],
    [ 'the role goes', 'DROP ROLE clerk2', 'COMMIT', 'annex', $apply, qr/ERROR:  42704:/, $none ])
{
    my ($name, $first, $end, $where, $second, $rows, $then) = @$case;
    for my $level ('READ COMMITTED', 'REPEATABLE READ') {
        school('CREATE ROLE clerk2') if school(q{SELECT count(*) FROM pg_roles WHERE rolname = 'clerk2'}) == 0;
        school('ALTER ROLE clerk2 LOGIN; ALTER ROLE clerk2 RESET ALL');
        school($apply) if $first eq $reset;
        my ($one, $two) = ($node->background_psql('school'), $node->background_psql($where, on_error_stop => 0));
        # With a snapshot from before all that.
        my $pid = $two->query_safe("BEGIN ISOLATION LEVEL $level; SELECT pg_backend_pid()");
        $one->query_safe("BEGIN; $first");
        send_to($two, "$second; COMMIT");
        ok($node->poll_query_until('school', $waits->($pid)), "$name, $level: the second waits");
        if ($first eq $apply) {
            is((try_sql($node, 'school', "SET lock_timeout = '$PostgreSQL::Test::Utils::timeout_default s'; CREATE TABLE granted (); GRANT SELECT ON granted TO clerk2; DROP TABLE granted"))[1], '', 'another command on the role does not');
            is($node->safe_psql('school', 'SELECT session_user', extra_params => [ '-U', 'clerk2' ]), 'clerk2', 'nor who logs in');
            is((try_sql($node, 'school', "SET ROLE clerk1; $apply"))[1], '42501', 'nor who may not');
            is((try_sql($node, 'school', "SET default_transaction_read_only = on; $apply"))[1], '25006', 'nor who may not now');
        }
        $one->query_safe($end);
        $one->quit;
        my ($said, $err) = answer($two);
        if (ref $rows) { like($err, $rows, 'and fails with the reason') }
        else {
            $said =~ s/^answered.*|^sent.*//mg;
            is($said =~ s/\A\s+|\s+\z//gr, $rows, 'and says what it did') or diag($err);
            unlike($err, qr/ERROR/, 'without an error');
        }
        is(limits('clerk2'), $then, 'which it has done');
    }
}
school('CREATE ROLE clerk2 LOGIN CONNECTION LIMIT 20');
$node->safe_psql('postgres', 'DROP DATABASE annex WITH (FORCE)');

# In force: a session of the role, on any database.
apply('clerk1', 'production');
is($node->safe_psql($_, "SHOW $statement; SHOW $idle", extra_params => [ '-U', 'clerk1' ]), "30s\n30s", "sessions on $_ have them") for 'school', 'library';
is($node->safe_psql('template1', "SHOW $statement", extra_params => [ '-U', 'clerk1' ]), '30s', 'whatever the database');
is($node->safe_psql('school', "SHOW $statement"), 0, 'others do not');

# Nothing but limits is spoken of, however small the server.
unlike(notice(q{SELECT * FROM wc_apply_session_limits('clerk1', 'production')}), qr/NOTICE/, 'sizes of pools are not its business');

# A role that nobody logs in as.
$node->safe_psql('school', 'GRANT team TO clerk1, boss');
my (undef, undef, $told) = try_sql($node, 'school', q{SELECT * FROM wc_apply_session_limits('team', 'production')});
like($told, qr/NOTICE: .*"team" cannot log in.*not those of its members.*Members that log in: clerk1\./s, 'settings are not inherited, and it says for whom they would have to be');
give_back('team');

# ---- Who may: what ALTER ROLE allows, once EXECUTE is granted.
$node->safe_psql('school', 'CREATE ROLE operator LOGIN; CREATE ROLE manager LOGIN CREATEROLE');
my $call = q{SELECT count(*) FROM wc_apply_session_limits('clerk2', 'production')};
is((try_sql($node, 'school', "SET ROLE manager; $call"))[1], '42501', 'granted to nobody');
school('GRANT EXECUTE ON FUNCTION wc_apply_session_limits(text, text), wc_reset_session_limits(text) TO operator, manager');
is((try_sql($node, 'school', "SET ROLE operator; $call"))[1], '42501', 'EXECUTE alone is no right to change another role');
is(limits('clerk2'), '', 'nothing was changed');
is((try_sql($node, 'school', q{SET ROLE operator; SELECT count(*) FROM wc_apply_session_limits('operator', 'production')}))[0], 2, 'its own, as ALTER ROLE does');
is((try_sql($node, 'school', q{SET ROLE operator; SELECT count(*) FROM wc_reset_session_limits('operator')}))[0], 2, 'and back');
is((try_sql($node, 'school', "SET ROLE manager; $call"))[0], 2, 'CREATEROLE may');
is((try_sql($node, 'school', q{SET ROLE operator; SELECT count(*) FROM wc_reset_session_limits('clerk2')}))[1], '42501', 'taking back needs the same right');
is((try_sql($node, 'school', q{SET ROLE manager; SELECT count(*) FROM wc_reset_session_limits('clerk2')}))[0], 2, 'which CREATEROLE is');

@wrong = (
    [ q{wc_apply_session_limits(NULL, 'production')}, '22004' ], [ q{wc_apply_session_limits('clerk2', NULL)}, '22004' ], [ q{wc_apply_session_limits('nobody', 'production')}, '42704' ],
    [ q{wc_apply_session_limits('clerk2', 'nonsense')}, '22023' ], [ q{wc_apply_session_limits('CLERK2', 'production')}, '42704' ], [ q{wc_apply_session_limits('', 'production')}, '42704' ],
    [ q{wc_apply_session_limits('public', 'production')}, '42704' ], [ q{wc_apply_session_limits('current_user', 'production')}, '42704' ], [ q{wc_apply_session_limits('all', 'production')}, '42704' ],
    [ q{wc_apply_session_limits('postgres', 'production')}, '22023' ], [ q{wc_apply_session_limits('boss', 'production')}, '22023' ],
    [ q{wc_apply_session_limits('pg_monitor', 'production')}, '42939' ], [ q{wc_reset_session_limits(NULL)}, '22004' ], [ q{wc_reset_session_limits('nobody')}, '42704' ]);
is((try_sql($node, 'school', "SELECT * FROM $_->[0]"))[1], $_->[1], "$_->[0] fails") for @wrong;
is((try_sql($node, 'school', "SET default_transaction_read_only = on; $call"))[1], '25006', 'not in a read-only transaction');
is(school(q{SELECT count(*) FROM pg_db_role_setting WHERE setrole IN (SELECT oid FROM pg_roles WHERE rolname IN ('clerk2', 'postgres', 'boss'))}), 0, 'and none of that has changed anything');

# What is noted is the role's own to write: no other setting ever comes out of it.
for my $forged ('nonsense', '[]', '1', '{"session_authorization": {"applied": "x", "before": "boss"}}', '{"statement_timeout": "1"}', '{"statement_timeout": {"applied": 1, "before": null}}',
    '{"statement_timeout": {"applied": "1"}}', '{"statement_timeout; DROP": {"applied": "1", "before": "2"}}') {
    school("ALTER ROLE clerk2 SET whitecross.session_limits = '$forged'");
    is((try_sql($node, 'school', "SELECT * FROM $_"))[1], '22023', "$forged: $_ refuses") for q{wc_reset_session_limits('clerk2')}, q{wc_apply_session_limits('clerk2', 'production')};
}
school(q{ALTER ROLE clerk2 SET whitecross.session_limits = '{"statement_timeout": {"applied": "1", "before": "2; ALTER ROLE clerk2 SUPERUSER"}}'; ALTER ROLE clerk2 SET statement_timeout = '1'});
is((try_sql($node, 'school', q{SELECT * FROM wc_reset_session_limits('clerk2')}))[1], '22023', 'a value is a value');
school('ALTER ROLE clerk2 RESET ALL');

# ---- A dump takes them along, to a server that has not loaded the library.
school(qq{ALTER ROLE @{[ $quoted->($role) ]} SET $statement = '7s'});
apply($role, 'production');
$node->safe_psql('postgres', $_) for map { "DROP DATABASE $_" } 'library', 'closed', 'empty', 'pgbouncer', '"*"', '"Mixed.Case-1_2"', qq{"two\nlines"}, $quoted->($database);
my $copy = new_node('copy', preload => '', conf => "fsync = off\n");
my $dump = PostgreSQL::Test::Utils::tempdir() . '/all.sql';
command_ok([ 'pg_dumpall', '-h', $node->host, '-p', $node->port, '-f', $dump ], 'pg_dumpall');
my ($out, $err) = run_command([ 'psql', '-XAq', '-h', $copy->host, '-p', $copy->port, '-d', 'postgres', '-o', File::Spec->devnull, '-f', $dump ]);
is_deeply([ grep { /ERROR|WARNING/ && !/role "postgres" already exists/ } split /\n/, $err ], [], 'restored');
is($copy->safe_psql('school', "SHOW $statement; SHOW $idle", extra_params => [ '-U', 'clerk1' ]), "30s\n30s", 'the limits hold there');
is($copy->safe_psql('school', "SET ROLE manager; SELECT setting, value, action FROM wc_reset_session_limits(\$r\$$role\$r\$)"), "$statement|7s|restored\n$idle||removed", 'and can be taken back, by whoever may');
is($copy->safe_psql('school', q{SET ROLE manager; SELECT setting, value, action FROM wc_apply_session_limits('clerk2', 'development')}), "$statement|30s|set\n$idle|5min|set", 'and others be set');

# The extension can go: what it has noted is in nobody's way.
$node->safe_psql('school', 'DROP EXTENSION whitecross');
is($node->safe_psql('school', "SHOW $statement", extra_params => [ '-U', 'clerk1' ]), '30s', 'without the extension the limits still hold');

done_testing();
