package WhiteCross::Test;

# What the TAP tests share: servers with the library loaded, databases from the fixtures, and the catalogue of a database
# as text, to compare before and after.

use strict;
use warnings;

use Exporter qw(import);
use File::Basename qw(dirname);
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(new_node make_database try_sql send_to answer client_processes await_clients await_jobs catalogue same_lines tree VIEWS);

use constant VIEWS => qw(mv_student_health_summary mv_compliance_status mv_medication_schedule
  mv_allergy_summary mv_appointment_statistics);

# A server may take as long to start, to stop or to be promoted as anything else that is waited for.
$ENV{PGCTLTIMEOUT} //= $PostgreSQL::Test::Utils::timeout_default;

# What a session of background_psql() may take is meant for each of its queries, and for its end; unless told so, it is all the time
# that the session is there.
{
    no warnings 'redefine';
    my ($start, $quit) = (\&PostgreSQL::Test::Cluster::background_psql, \&PostgreSQL::Test::BackgroundPsql::quit);
    *PostgreSQL::Test::Cluster::background_psql = sub { my $session = $start->(@_); $session->set_query_timer_restart; return $session };
    *PostgreSQL::Test::BackgroundPsql::quit = sub { my ($session) = @_; $session->{timeout}->start; return $quit->($session) };
}

# The top of the source tree, where fixtures and examples are.
sub tree { return File::Spec->rel2abs(dirname(__FILE__) . '/../../..') }

# new_node(NAME, preload => 'pg_cron,whitecross', conf => "line\n...", allows_streaming => 1, start => 0): a server of the
# test's own, started unless told otherwise, with encoding UTF8 and superuser postgres.  preload is 'whitecross' unless
# said otherwise.  With pg_cron, the scheduler is in database postgres (cron_database => ...) and uses background workers.
sub new_node {
    my ($name, %options) = @_;
    my $preload = $options{preload} // 'whitecross';
    $ENV{PGUSER} = 'postgres';
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(
        extra            => [ '--username=postgres', '--encoding=UTF8', '--locale=C.UTF-8' ],
        allows_streaming => $options{allows_streaming} // 0);
    $node->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'\nmax_worker_processes = 24\n");
    if ($preload =~ /\bpg_cron\b/) {
        my $database = $options{cron_database} // 'postgres';
        $node->append_conf('postgresql.conf', "cron.database_name = '$database'\ncron.use_background_workers = on\n");
    }
    $node->append_conf('postgresql.conf', $options{conf}) if defined $options{conf};
    $node->start if $options{start} // 1;
    return $node;
}

# make_database(NODE, NAME, KIND, students => 200, extensions => ['pg_cron'], whitecross => 1, owner => ROLE): a database from
# the fixtures; KIND is reference, platform, renamed or empty (see test/make-database). The owner gets all tables.
sub make_database {
    my ($node, $name, $kind, %options) = @_;
    local $ENV{PGHOST}             = $node->host;
    local $ENV{PGPORT}             = $node->port;
    local $ENV{STUDENTS}           = $options{students} // 200;
    local $ENV{WITHOUT_WHITECROSS} = ($options{whitecross} // 1) ? '' : 1;
    PostgreSQL::Test::Utils::system_log(tree() . '/test/make-database', $name, $kind, @{ $options{extensions} // [] }) == 0
      or die "database $name could not be made\n";
    $node->safe_psql($name, <<"SQL") if $options{owner};
SELECT format('ALTER TABLE public.%I OWNER TO $options{owner}', tablename) FROM pg_tables WHERE schemaname = 'public' \\gexec
SQL
    return;
}

# try_sql(NODE, DATABASE, SQL, psql options): runs it, and returns its output, the SQLSTATE of the error that stopped it
# ('' where none did), and all of standard error.
sub try_sql {
    my ($node, $database, $sql, %options) = @_;
    my ($out, $err);
    $node->psql($database, "\\set VERBOSITY verbose\n$sql", stdout => \$out, stderr => \$err, on_error_stop => 1, %options);
    my ($state) = $err =~ /(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}):/;
    return ($out, $state // '', $err);
}

# send_to(SESSION, SQL): sends a statement to a session of background_psql without waiting for its end.
# answer(SESSION): waits for it, ends the session, and returns its output and messages.
my $sent = 0;

sub send_to {
    my ($session, $sql) = @_;
    $sent++;
    $session->query_until(qr/sent $sent/, "\\set VERBOSITY verbose\n\\echo sent $sent\n$sql;\n\\echo answered $sent\n");
    return;
}

sub answer {
    my ($session) = @_;
    $session->{timeout}->start;
    $session->{run}->pump until $session->{stdout} =~ /answered \d+/ || $session->{timeout}->is_expired;
    my ($out, $err) = ($session->{stdout}, $session->{stderr});
    $session->quit;
    return ($out, $err);
}

# client_processes(NODE): how many processes a server has for clients, by the names that it gives them: also those that are not in yet, or not
# gone yet, which no view shows. It asks without a connection of its own.
sub client_processes {
    my ($node) = @_;
    my ($server) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
    my $look = sub { open my $file, '<', $_[0] or return ''; local $/; return <$file> // '' };
    my $unnamed = $look->("/proc/$server/cmdline");
    my $number  = 0;
    for my $process (glob '/proc/[0-9]*') {
        my ($state, $parent) = $look->("$process/stat") =~ /^.*\) (\S) (\d+) /s or next;
        next if $parent != $server || $state eq 'Z';
        my $name = $look->("$process/cmdline");
        $number++ if $name =~ /\[local\]|\(\d+\)/ || $name eq $unnamed;
    }
    return $number;
}

# await_clients(NODE, NUMBER): waits until there are so many: who has hung up is gone then.
sub await_clients {
    my ($node, $number) = @_;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
    until (client_processes($node) == $number) {
        die client_processes($node) . " clients instead of $number\n" if time > $deadline;
        usleep(10_000);
    }
    return;
}

# await_jobs(NODE): waits until no worker changes jobs any more. Those of another database than pg_cron's change when the transaction that
# changes them has ended.
sub await_jobs {
    my ($node) = @_;
    $node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'whitecross schedule')})
      or die "a worker that changes jobs does not end\n";
    return;
}

# catalogue(NODE, DATABASE): what the database holds beyond the system's own, by name: relations with their grants,
# columns, indexes, constraints, triggers, functions, types, dependencies on extensions, settings, comments.
sub catalogue {
    my ($node, $database) = @_;
    return $node->safe_psql($database, <<'SQL');
WITH own AS (
  SELECT n.oid FROM pg_catalog.pg_namespace AS n
   WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_'
)
SELECT 'schema ' || n.nspname || ' ' || coalesce(n.nspacl::text, '') FROM pg_catalog.pg_namespace AS n JOIN own USING (oid)
UNION ALL
SELECT 'relation ' || c.oid::regclass::text || ' ' || c.relkind::text || ' of ' || c.relowner::regrole::text || ' ' || coalesce(c.relacl::text, '')
  FROM pg_catalog.pg_class AS c JOIN own ON own.oid = c.relnamespace WHERE c.relkind NOT IN ('i', 'I')
UNION ALL
SELECT 'column ' || c.oid::regclass::text || '.' || a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text
  FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid JOIN own ON own.oid = c.relnamespace
 WHERE c.relkind NOT IN ('i', 'I') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'index ' || pg_catalog.pg_get_indexdef(i.indexrelid) || ' valid ' || i.indisvalid::text
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid JOIN own ON own.oid = c.relnamespace
UNION ALL
SELECT 'constraint ' || n.conname || ' of ' || n.conrelid::regclass::text || ' ' || pg_catalog.pg_get_constraintdef(n.oid)
  FROM pg_catalog.pg_constraint AS n JOIN own ON own.oid = n.connamespace WHERE n.conrelid <> 0
UNION ALL
SELECT 'trigger ' || pg_catalog.pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text FROM pg_catalog.pg_trigger AS t WHERE NOT t.tgisinternal
UNION ALL
SELECT 'event trigger ' || e.evtname || ' ' || e.evtenabled::text FROM pg_catalog.pg_event_trigger AS e
UNION ALL
SELECT 'function ' || p.oid::regprocedure::text || ' ' || coalesce(p.proacl::text, '') FROM pg_catalog.pg_proc AS p JOIN own ON own.oid = p.pronamespace
UNION ALL
SELECT 'type ' || t.oid::regtype::text FROM pg_catalog.pg_type AS t JOIN own ON own.oid = t.typnamespace
UNION ALL
SELECT 'extension ' || e.extname || ' ' || e.extversion FROM pg_catalog.pg_extension AS e
UNION ALL
SELECT 'setting ' || s.setrole::text || ' ' || s.setconfig::text FROM pg_catalog.pg_db_role_setting AS s
 WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
UNION ALL
SELECT 'comment on ' || pg_catalog.pg_describe_object(d.classoid, d.objoid, d.objsubid) || ' ' || d.description
  FROM pg_catalog.pg_description AS d WHERE d.objoid >= 16384
UNION ALL
SELECT 'dependency ' || pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) || ' ' || d.deptype::text || ' '
       || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
  FROM pg_catalog.pg_depend AS d WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
ORDER BY 1
SQL
}

# same_lines(GOT, EXPECTED, NAME): a test that two long texts have the same lines in any order; says which differ.
sub same_lines {
    my ($got, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my %number;
    $number{$_}++ for split /\n/, $got;
    $number{$_}-- for split /\n/, $expected;
    my @differences = map { ($number{$_} > 0 ? 'unexpected: ' : 'missing: ') . $_ } grep { $number{$_} != 0 } sort keys %number;
    return is(join("\n", @differences), '', $name);
}

1;
