package Cache;

# The result cache: a hit against the query over base tables, over a materialized view, and against a GET of the same bytes from Redis; what a miss
# adds; what invalidation costs those who write; how often a skewed load hits (Skew).

use strict;
use warnings;

use Bench;
use Exporter qw(import);
use File::Temp qw(tempdir);
use Measures qw(ms ratio);
use Monitor ();
use Skew;

our @EXPORT = qw(cache);

my %servers;    # arm => { port, data }
my $redis;      # { pid, socket }

sub us { my ($us) = @_; return sprintf $us < 100 ? '%.1f us' : '%.0f us', $us }

sub clients { my ($number) = @_; return $number == 1 ? 'one client' : "$number clients" }

# test/bench/turns.c, built against the client libraries that the packages of development bring along.
sub turns_program {
    my $program = tempdir(CLEANUP => 1) . '/turns';
    run_command('cc', '-O2', '-I/usr/include/postgresql', '-o', $program, tree() . '/test/bench/turns.c', '-lpq', '-lhiredis', '-lpthread');
    return $program;
}

# { name => { bytes, median, p99, mean, spent, more } } of a run of it.
sub turns {
    my ($program, $rounds, $executions, $clients, @ways) = @_;
    my %of;
    for my $line (split /\n/, run_command($program, $rounds, $executions, $clients, map { @$_ } @ways)) {
        my ($name, @values) = split /\t/, $line;
        @{ $of{$name} }{qw(bytes executions median p99 mean spent more)} = @values;
    }
    return \%of;
}

# A Redis as it comes, but for the socket, and that it writes nothing to disk.
sub start_redis {
    my ($folder) = @_;
    my $socket = "$folder/s/redis.sock";
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        open STDOUT, '>', "$folder/redis.log" or die "redis.log: $!\n";
        exec 'redis-server', '--port', 0, '--unixsocket', $socket, '--save', '', '--appendonly', 'no', '--dir', $folder;
        die "redis-server: $!\n";
    }
    $redis = { pid => $pid, socket => $socket };
    for (1 .. 1000) {
        my ($out) = Bench::capture('redis-cli', '-s', $socket, 'PING');
        return $socket if $out eq "PONG\n";
        select undef, undef, undef, 0.01;
    }
    die "Redis does not start\n";
}

sub stop_redis {
    return if !$redis;
    my $status = $?;
    kill 'TERM', $redis->{pid};
    waitpid $redis->{pid}, 0;
    undef $redis;
    $? = $status;
    return;
}

sub stop_servers {
    my $status = $?;
    system("pg_ctl -D '$servers{$_}{data}' -m fast -w stop > /dev/null") for keys %servers;
    %servers = ();
    $? = $status;
    return;
}

END { stop_redis(); stop_servers() }

sub literal { my ($text) = @_; return "'" . $text =~ s/'/''/gr . "'" }

# A dashboard of dashboards.sql by its name: over {views}, with $1 for the school.
sub dashboard {
    my ($name) = @_;
    open my $in, '<', tree() . '/test/bench/dashboards.sql' or die "dashboards.sql: $!\n";
    my $queries = do { local $/; <$in> };
    my ($query) = $queries =~ /^-- name: \Q$name\E[^\n]*\n((?:(?!--)[^\n]*\n)*)/m or die "no dashboard $name\n";
    $query =~ s/;\s*$//;
    $query =~ s/\{none\}/NULL/g;
    $query =~ s/\{school\}/\$1/g;
    return $query;
}

# The same over base tables, by one of the obvious definitions of its view. What is of today by the clock can't be cached: there is a day to be
# given, as an application would.
sub over_base {
    my ($database, $query, $schema, $today) = @_;
    my ($view) = $query =~ /\{views\}\.(\w+)/;
    my $definition = value($database, "SELECT rtrim(pg_get_viewdef('$schema.$view'::regclass), ';')") =~ s/CURRENT_DATE/'$today'::date/gr;
    return $query =~ s/\{views\}\.$view/($definition) AS $view/r;
}

sub hits {
    my ($database, $runs, $program) = @_;
    my $rounds = $ENV{CACHE_ROUNDS} || 100 * $runs;
    my @schemas = ('obvious_joins', 'obvious_subqueries');
    for my $schema (@schemas) {
        psql($database, '-f', tree() . "/test/bench/$schema.sql") if value($database, "SELECT to_regnamespace('$schema') IS NULL") eq 't';
    }
    my $school = value($database, q{SELECT s."schoolId" FROM students AS s WHERE s."isActive" AND s."deletedAt" IS NULL
         GROUP BY 1 ORDER BY count(*), 1 OFFSET (SELECT count(*) / 2 FROM schools WHERE "deletedAt" IS NULL) LIMIT 1});
    my $today = value($database, 'SELECT current_date');
    my $plain = sub { my ($query) = @_; return $query =~ s/\$1/'$school'::uuid/gr };
    my $cached = sub { my ($type, $query) = @_; return "SELECT * FROM wc_cached(NULL::$type, " . literal($query) . ', ' . ($query =~ /\$1/ ? "'{$school}'" : q('{}')) . ", '1 hour')" };

    # Of each dashboard: over the materialized view, and by either definition over base tables.
    my %query = (rows => dashboard("A school's health summary"), district => dashboard('Students with severe allergies and chronic conditions by grade'));
    my %base = map { my $what = $_; $what => { map { $_ => over_base($database, $query{$what}, $_, $today) } @schemas } } keys %query;
    s/\{views\}/public/g for values %query;
    my $document = sub { my ($rows) = @_; return "SELECT json_agg(d) FROM ($rows) AS d" };
    $query{document} = $document->($query{rows});
    $base{document}{$_} = $document->($base{rows}{$_}) for @schemas;
    psql($database, '-c', 'SET client_min_messages = warning', '-c', 'DROP SCHEMA IF EXISTS bench_cache CASCADE', '-c', 'CREATE SCHEMA bench_cache',
        map { ('-c', "CREATE VIEW bench_cache.$_ AS " . $plain->($query{$_})) } 'rows', 'district'); # for their row types
    my %type = (rows => 'bench_cache.rows', district => 'bench_cache.district', document => 'json');
    my %hit = map { $_ => $cached->($type{$_}, $query{$_}) } keys %query;

    text(<<"MARKDOWN");
## A hit of the result cache

Three answers: the students of a middling school with what is to be known of them, by rows (*rows*) and as one JSON document (*document*), and a table of the whole district (*district*); the first and the last are of test/bench/dashboards.sql.

MARKDOWN
    my (%over_base, @over_base);
    for my $what ('district', 'rows', 'document') {
        my %ms;
        for my $schema (@schemas) {
            say_step("$what over base tables, $schema");
            $ms{$schema} = median((timed($database, $plain->($base{$what}{$schema}), 1 + $runs))[ 1 .. $runs ]);
        }
        my ($best) = sort { $ms{$a} <=> $ms{$b} } @schemas;
        $over_base{$what} = 1000 * $ms{$best};
        $hit{"$what of base tables"} = $cached->($type{$what}, $base{$what}{$best});
        push @over_base, [ $what, map { ms($ms{$_}) } @schemas ];
    }
    # Of the answers none differs.
    for my $what ('district', 'rows', 'document') {
        for my $hit ($hit{$what}, $hit{"$what of base tables"}) {
            my ($query, $hit) = map { $what eq 'document' ? "SELECT d::text FROM ($_) AS d" : $_ } $plain->($query{$what}), $hit;
            die "a hit of $what differs from its query\n" if value($database, "SELECT count(*) FROM ((($query) EXCEPT ALL ($hit)) UNION ALL (($hit) EXCEPT ALL ($query))) AS d") ne '0';
        }
    }
    table([ 'over base tables', 'by joins', 'by subqueries' ], @over_base);
    text(<<"MARKDOWN");
Then *view*: the query over the materialized view, as a prepared statement; *hit*: the same through wc_cached(), and *of base tables*: the quicker one of the table above, with the day as a constant; *Redis*: GET of exactly the bytes of the hit, by hiredis, from a Redis as it comes
that writes nothing to disk. All over Unix sockets, on this machine, one execution after the other (test/bench/turns.c); the ways take turns, $rounds rounds of 100, or of 20 ms. *The least* is what a prepared statement takes that does nothing.

MARKDOWN
    my ($here, $socket) = ("dbname=$database", $redis->{socket});
    my @ways = [ 'the least', 'sql', $here, 'SELECT 1' ];
    for my $what ('district', 'rows', 'document') {
        push @ways, [ "$what: view", 'sql', $here, $plain->($query{$what}) ], [ "$what: hit", 'sql', $here, $hit{$what} ];
        push @ways, [ "$what of base tables: hit", 'sql', $here, $hit{"$what of base tables"} ];
        push @ways, [ "$what: Redis", 'redis', $socket, "$what: hit" ];
    }
    my $stats = q{SELECT hits, misses FROM wc_cache_stats WHERE database = current_database()};
    my %of;
    for my $clients (1, 2) {
        say_step("hits, $clients clients");
        my ($before) = rows($database, $stats);
        my $way = $of{$clients} = turns($program, $rounds, 100, $clients, @ways);
        my ($after) = rows($database, $stats);
        my $asked = 0;
        $asked += $way->{$_}{executions} for grep { /hit$/ } keys %$way;
        my @did = map { $after->[$_] - $before->[$_] } 0, 1;
        die "of $asked calls and some before $did[0] were hits, $did[1] misses\n" if $did[0] < $asked || $did[1] > 10;
        table([ clients($clients), 'bytes', 'median', '99 % within', 'mean', 'processor time' ],
            map { my $its = $way->{ $_->[0] }; [ $_->[0], $its->{bytes}, (map { us($its->{$_}) } qw(median p99 mean)), $its->{spent} > 0 ? us($its->{spent}) : '' ] } @ways);
    }
    for my $what ('district', 'rows', 'document') {
        my $ratio = $over_base{$what} / $of{1}{"$what of base tables: hit"}{median};
        verdict("$what: a hit at least 100 times faster than the query over base tables: " . ratio($ratio), $ratio >= 100);
    }
    for my $clients (1, 2) {
        my $way = $of{$clients};
        my ($slowest) = sort { $b <=> $a } map { $way->{$_}{p99} } grep { /hit$/ } keys %$way;
        verdict(clients($clients) . ": 99 % of hits within 1 ms, whichever: " . us($slowest), $slowest < 1000);
        for my $what ('district', 'rows', 'document') {
            my ($ours, $view, $theirs) = map { $way->{"$what: $_"}{median} } qw(hit view Redis);
            text(clients($clients) . ", $what: a hit takes " . us($ours) . ', the materialized view ' . ratio($view / $ours) . " as long.\n\n");
            verdict(clients($clients) . ", $what: a hit no slower than a GET of the same bytes from Redis: " . us($ours) . ' against ' . us($theirs) . ' (the least that a prepared statement takes: ' . us($way->{'the least'}{median}) . ')', $ours <= $theirs);
        }
    }
    psql($database, '-c', 'SET client_min_messages = warning', '-c', 'DROP SCHEMA bench_cache CASCADE');
    return;
}

sub misses {
    my ($database, $runs, $program) = @_;
    say_step('misses');
    my $query = 'SELECT "studentNumber", "lastName", "firstName", grade FROM mv_student_health_summary WHERE "schoolId" = (SELECT min("schoolId"::text)::uuid FROM mv_student_health_summary) AND $1::int > 0';
    my $here = "dbname=$database";
    my @ways = ([ 'query', 'sql', $here, $query ],
        [ 'miss', 'sql', $here, 'SELECT * FROM wc_cached(NULL::record, ' . literal($query) . q{, ARRAY[$1::int::text]) AS d ("studentNumber" varchar, "lastName" varchar, "firstName" varchar, grade varchar)} ]);
    my ($before) = rows($database, 'SELECT misses FROM wc_cache_stats WHERE database = current_database()');
    my $of = turns($program, 20 * $runs, 50, 1, @ways);
    my ($after) = rows($database, 'SELECT misses FROM wc_cache_stats WHERE database = current_database()');
    die "they were no misses\n" if $after->[0] - $before->[0] < $of->{miss}{executions};
    text("## A miss of the result cache\n\nA query with a parameter that is another one each time, as it is and through wc_cached(): each time it is looked for, run, stored, and something else put out.\n\n");
    table([ '', 'median', '99 % within', 'mean' ], map { my $its = $of->{ $_->[0] }; [ $_->[0], map { us($its->{$_}) } qw(median p99 mean) ] } @ways);
    my $more = $of->{miss}{median} - $of->{query}{median};
    verdict('a miss adds less than 2 ms: ' . us($more), $more < 2000);
    return;
}

my %settings = (off => 0, control => 0, empty => 1000, full => 1000);

# Servers that differ in whitecross.cache_entries alone, from one initdb.
sub start_servers {
    my ($folder) = @_;
    run_command('initdb', '-D', "$folder/first_cache", '-U', 'postgres', '-A', 'trust', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync');
    my $port = $ENV{PGPORT} + 20;
    for my $arm (sort keys %settings) {
        my $data = "$folder/cache_$arm";
        run_command('cp', '-a', "$folder/first_cache", $data);
        $port++;
        open my $conf, '>>', "$data/postgresql.conf" or die "postgresql.conf: $!\n";
        print $conf map { "$_\n" } "listen_addresses = ''", 'shared_buffers = 256MB', 'autovacuum = off', 'fsync = off', 'max_wal_size = 4GB', 'checkpoint_timeout = 1h',
          "unix_socket_directories = '$folder/s'", "port = $port", "shared_preload_libraries = 'whitecross'", "whitecross.monitor_interval = '1h'", 'whitecross.health_interval = 0',
          "whitecross.cache_entries = $settings{$arm}";
        close $conf or die "postgresql.conf: $!\n";
        run_command('pg_ctl', '-D', $data, '-l', "$folder/cache_$arm.log", '-w', '-t', '120', 'start');
        $servers{$arm} = { port => $port, data => $data };
        run_command('pgbench', '-p', $port, '-i', '-q', '-s', 10, 'postgres');
        run_command('psql', '-p', $port, '-XAtq', '-d', 'postgres', '-c', 'SET client_min_messages = warning', '-c', 'CREATE EXTENSION whitecross');
    }
    # Of each thousandth account an entry, which depends on the table that is written.
    my $entries = run_command('psql', '-p', $servers{full}{port}, '-XAtq', '-d', 'postgres', '-c',
        q{SELECT count(*) FROM generate_series(1000, 1000000, 1000) AS n CROSS JOIN LATERAL wc_cached_json('SELECT abalance FROM pgbench_accounts WHERE aid = $1', ARRAY[n::text], '1 day') AS c},
        '-c', 'SELECT sum(entries) FROM wc_cache_stats');
    die "there are other entries than a thousand: $entries\n" if $entries ne "1000\n1000\n";
    return;
}

sub invalidation {
    my ($runs, $program) = @_;
    my $sets = $ENV{CACHE_SETS} || 5 * $runs;
    start_servers($ENV{PGHOST} =~ s{/s$}{}r);
    text(<<"MARKDOWN");
## What invalidation costs those who write

UPDATE of one row by its key, prepared, a transaction each, on four servers that differ in whitecross.cache_entries alone: 0 (*off*), 0 once more (*control*), 1,000 with nothing cached (*empty*) and with 1,000 results that were read from the
table that is written (*full*). 100 on one server, then on the next, 150 rounds, each in another order, and all of it in $sets sets of new sessions (test/bench/turns.c). Processor time is the kernel's account of the server's process; differences
are from *off* in the same round: of each set their median, of the sets the mean and its 95 % interval.

MARKDOWN
    my @arms = ('off', 'control', 'empty', 'full');
    my (%spent, %more);
    for my $set (1 .. $sets) {
        my $of = turns($program, 150, 100, 1, map { [ $_, 'sql', "port=$servers{$_}{port} dbname=postgres", 'UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 10 * $1::int' ] } @arms);
        for my $arm (@arms) {
            push @{ $spent{$arm} }, $of->{$arm}{spent};
            push @{ $more{$arm} },  $of->{$arm}{more};
        }
        say_step("invalidation, set $set of $sets: " . join ', ', map { sprintf '%s %.2f us', $_, $of->{$_}{spent} } @arms);
    }
    my (%mean, %half);
    ($mean{$_}, $half{$_}) = Monitor::interval(@{ $more{$_} }) for @arms[ 1 .. 3 ];
    table([ 'cache', 'processor time, median', 'more than off', '95 % from', 'to' ],
        map { my $arm = $_; [ $arm, sprintf('%.2f us', median(@{ $spent{$arm} })), $arm eq 'off' ? ('', '', '') : map { sprintf '%.2f us', $_ } $mean{$arm}, $mean{$arm} - $half{$arm}, $mean{$arm} + $half{$arm} ] } @arms);
    my $beyond = $mean{empty} - $half{empty} - ($mean{control} + $half{control});
    verdict(sprintf('with nothing cached no difference beyond the control: %.2f to %.2f us, the control %.2f to %.2f us', $mean{empty} - $half{empty}, $mean{empty} + $half{empty},
            $mean{control} - $half{control}, $mean{control} + $half{control}), $beyond <= 0);
    text(sprintf "With 1,000 results a write costs %.2f us more, %.1f %%.\n\n", $mean{full}, 100 * $mean{full} / median(@{ $spent{off} }));
    stop_servers();
    return;
}

sub cache {
    my ($database, $runs) = @_;
    my $program = turns_program();
    start_redis($ENV{PGHOST} =~ s{/s$}{}r);
    hits($database, $runs, $program);
    stop_redis();
    misses($database, $runs, $program);
    skewed($database);
    invalidation($runs, $program);
    return;
}

1;
