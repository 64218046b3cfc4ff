package WhiteCross::Oracle;

# The oracle: random transactions in four sessions at once, the clock moved to and fro, a refresh after each few, and after
# each refresh the question whether every view says what its rules say. Twice: wc_verify(), which evaluates the extension's
# own definition, and the views of test/fixtures/truth, which are written by hand.
#
# There is a program for each of the two databases; a seed is 2,000 transactions in each, ten seeds unless asked for more. A
# seed is a district of its own; what a session draws is the same for the same seed, what four sessions make of it at
# once is not quite. WC_ORACLE_SEEDS, WC_ORACLE_FIRST_SEED and WC_ORACLE_TRANSACTIONS ask for more, others and longer ones.

use strict;
use warnings;

use Exporter qw(import);
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::Local qw(timegm);
use WhiteCross::Oracle::Rows qw(one_of chance);
use WhiteCross::Oracle::Writes;
use WhiteCross::Session;
use WhiteCross::Test;
use WhiteCross::Truth;

our @EXPORT = qw(consult);

use constant SESSIONS => 4;

# Beside ours a view as a site adds one: two columns are its key, one table's keys are told by the marks, the other's by a query,
# and time changes it. The truth of it is its definition, which wc_verify() evaluates.
my $own = <<'SQL';
SELECT wc_add_view('own_doses', $view$
  SELECT v."studentId", v."vaccineType", count(*) AS "doses", count(*) FILTER (WHERE v."nextDueDate" < {today}) AS "late", min(s."lastName") AS "lastName"
    FROM {vaccinations: studentId, vaccineType, nextDueDate, deletedAt} AS v
    JOIN {students: id, lastName, deletedAt} AS s ON s."id" = v."studentId"
   WHERE v."deletedAt" IS NULL AND s."deletedAt" IS NULL {only v."studentId", v."vaccineType"}
   GROUP BY 1, 2
  $view$, '{studentId,vaccineType}',
  '{"students": "SELECT v.\"studentId\", v.\"vaccineType\" FROM {changed: id} AS c JOIN {vaccinations: studentId, vaccineType} AS v ON v.\"studentId\" = c.id"}',
  'SELECT v."studentId", v."vaccineType" FROM {vaccinations: studentId, vaccineType, nextDueDate} AS v
    WHERE v."nextDueDate" >= least({that day}, {today}) AND v."nextDueDate" < greatest({that day}, {today})', 'SELECT {next day}');
SQL
my @views = (VIEWS, 'own_doses');

# The district's own day, two before the clocks change, and the last moment that the constraints' "not later than
# tomorrow" can't notice.
my $anchor = timegm(0, 45, 16, 7, 2, 2025);
my $latest = timegm(0, 0, 0, 1, 5, 2026);

# What one of four sessions may meet: keys that are gone or there already, a row that does not fit its partition, locks,
# serialization; what follows an error in its transaction; a prepared transaction that never was; a partition that is out
# already.
my %expected = map { $_ => 1 } qw(23503 23505 23514 55P03 40P01 40001 25P02 3B001 42704 42P01 42P17 42809);

# Partitions and children, which neither database has by itself, for every second seed.
my $divide = <<'SQL';
CREATE TABLE part (LIKE health_records INCLUDING DEFAULTS) PARTITION BY HASH (id);
CREATE TABLE health_records_0 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE health_records_1 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE health_records_2 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO part SELECT * FROM health_records;
DROP TABLE health_records;
ALTER TABLE part RENAME TO health_records;
ALTER TABLE health_records ADD PRIMARY KEY (id), ADD FOREIGN KEY ("studentId") REFERENCES students ON UPDATE CASCADE ON DELETE CASCADE;
CREATE TABLE part (LIKE appointments INCLUDING DEFAULTS) PARTITION BY RANGE ("scheduledAt");
CREATE TABLE appointments_past PARTITION OF part FOR VALUES FROM (MINVALUE) TO ('2025-02-01');
CREATE TABLE appointments_term PARTITION OF part FOR VALUES FROM ('2025-02-01') TO ('2025-04-01');
CREATE TABLE appointments_rest PARTITION OF part DEFAULT;
INSERT INTO part SELECT * FROM appointments;
DROP TABLE appointments;
ALTER TABLE part RENAME TO appointments;
ALTER TABLE appointments ADD PRIMARY KEY (id, "scheduledAt"), ADD FOREIGN KEY ("studentId") REFERENCES students ON UPDATE CASCADE ON DELETE CASCADE,
  ADD FOREIGN KEY ("nurseId") REFERENCES users ON UPDATE CASCADE ON DELETE SET NULL;
CREATE TABLE allergies_old (PRIMARY KEY (id), FOREIGN KEY ("studentId") REFERENCES students ON UPDATE CASCADE ON DELETE CASCADE) INHERITS (allergies);
WITH old AS (DELETE FROM ONLY allergies WHERE id IN (SELECT id FROM allergies ORDER BY id LIMIT 4) RETURNING *) INSERT INTO allergies_old SELECT * FROM old;
SQL
my %parts = (
    parts => {
        health_records => [qw(health_records_0 health_records_1 health_records_2)],
        appointments => [qw(appointments_past appointments_term appointments_rest)],
        allergies => [qw(allergies_old)]
    },
    # Where they go back to, and what of the rows that came meanwhile is in the way.
    detachable => {
        appointments_past => [ 'appointments', q{FOR VALUES FROM (MINVALUE) TO ('2025-02-01')},
            q{DELETE FROM appointments_rest WHERE "scheduledAt" < '2025-02-01';} ],
        appointments_term => [ 'appointments', q{FOR VALUES FROM ('2025-02-01') TO ('2025-04-01')},
            q{DELETE FROM appointments_rest WHERE "scheduledAt" >= '2025-02-01' AND "scheduledAt" < '2025-04-01';} ]
    });

# make_template(NODE, NAME, KIND, DIVIDED): a small district, and its rows as they are at first in schema spare.
sub make_template {
    my ($node, $name, $kind, $divided) = @_;
    $node->safe_psql('postgres', q{SELECT 'CREATE ROLE oracle_writer' WHERE to_regrole('oracle_writer') IS NULL \gexec});
    make_true_database($node, $name, $kind,
        before => join("\n", $divided ? $divide : '', 'CREATE SCHEMA spare;', map { "CREATE TABLE spare.$_ AS TABLE $_;" } @WhiteCross::Oracle::Rows::TABLES),
        # A key in the parent and in its child would make the order of allergies a matter of chance.
        after => $own . ($divided ? 'DELETE FROM spare.allergies WHERE id IN (SELECT id FROM allergies_old); ' : '') . 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO oracle_writer; GRANT USAGE ON SCHEMA spare TO oracle_writer;
                  GRANT SELECT ON ALL TABLES IN SCHEMA spare TO oracle_writer; REVOKE ALL ON wc_change FROM oracle_writer');
    return;
}

# consult(KIND): the test, of as many seeds as are asked for.
sub consult {
    my ($kind) = @_;
    my $seeds        = $ENV{WC_ORACLE_SEEDS}        // 10;
    my $first        = $ENV{WC_ORACLE_FIRST_SEED}   // 1;
    my $transactions = $ENV{WC_ORACLE_TRANSACTIONS} // 2000;
    my $node = new_node("oracle_$kind", conf => "max_prepared_transactions = 20\nfsync = off\nautovacuum_naptime = 1\nlog_statement = none\ndeadlock_timeout = 50ms\nwhitecross.lock_timeout = 1s\n");
    make_template($node, 'plain',   $kind, 0);
    make_template($node, 'divided', $kind, 1);
    my %total;
    for my $seed ($first .. $first + $seeds - 1) {
        note("seed $seed");
        my $template = $seed % 2 ? 'plain' : 'divided';
        $node->safe_psql('postgres', "CREATE DATABASE seed_$seed TEMPLATE $template");
        my $run = WhiteCross::Oracle->new($node, "seed_$seed", $seed, $template eq 'divided');
        my $fault = $run->play($transactions);
        is($fault, '', "$kind, $template, seed $seed: $run->{transactions} transactions, $run->{refreshes} refreshes, every view true");
        $run->report if $fault ne '';
        $total{$_} += $run->{count}{$_} for keys %{ $run->{count} };
        note("reasons: $_") for $run->{control}->ask('SELECT count(*), mode, reason FROM wc_refresh_log GROUP BY mode, reason ORDER BY 1 DESC;');
        $run->quit;
        $node->safe_psql('postgres', "DROP DATABASE seed_$seed WITH (FORCE)") if $fault eq '';
    }
    note(join ', ', map { "$_: $total{$_}" } sort keys %total);
    # A run in which nothing happens would be true as well.
    if ($transactions >= 500) {
        cmp_ok($total{COMMIT}, '>', 0.6 * $total{transactions}, 'most transactions were committed');
        cmp_ok($total{'mode incremental'} // 0, '>', 0.5 * $total{'views refreshed'}, 'most refreshes were incremental');
    }
    $node->stop;
    done_testing();
    return;
}

sub new {
    my ($class, $node, $database, $seed, $divided) = @_;
    srand $seed;
    my $self = bless { node => $node, seed => $seed, clock => $anchor, transactions => 0, refreshes => 0, held => [], disabled => [], slipped => {}, unsound => 0, count => {},
        recent => [], control => WhiteCross::Session->new($node, $database) }, $class;
    $self->{writers} = [ map { WhiteCross::Session->new($node, $database) } 1 .. SESSIONS ];
    $_->ask("SET lock_timeout = '150ms'; SET deadlock_timeout = '20ms'; SET jit = off; SET client_min_messages = warning;") for @{ $self->{writers} };
    $self->{control}->ask('SET client_min_messages = warning; SET jit = off;');
    my (%columns, %spare);
    for ($self->{control}->ask(q{SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a
              JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relnamespace = 'spare'::regnamespace AND a.attnum > 0;})) {
        my ($table, $column, $type) = split /\|/;
        $columns{$table}{$column} = $type;
    }
    $spare{$_} = $self->{control}->ask("SELECT count(*) FROM spare.$_;") for @WhiteCross::Oracle::Rows::TABLES;
    $self->{rows} = WhiteCross::Oracle::Rows->new(columns => \%columns, spare => \%spare, clock => $self->{clock});
    $self->{writes} = WhiteCross::Oracle::Writes->new($self->{rows}, files => PostgreSQL::Test::Utils::tempdir(), divided => $divided, %parts);
    return $self;
}

# Until so many transactions have been tried; returns the fault that was found, '' where none was.
sub play {
    my ($self, $transactions) = @_;
    my $fault = eval {
        while ($self->{transactions} < $transactions) {
            $self->write;
            $self->move_clock;
            my $found = chance(0.85) ? $self->refresh_all : $self->refresh_some;
            return $found if $found ne '';
        }
        $self->finish;
        return $self->refresh_all;
    };
    return $fault // "the test itself failed: $@";
}

# A few transactions in each session, all at once, and often a refresh among them. The last one of a session may stay open.
sub write {
    my ($self) = @_;
    my @finish = splice @{ $self->{held} };
    my @drawn  = map { [ map { $self->{writes}->transaction } 1 .. 1 + int rand 4 ] } 1 .. SESSIONS;
    my $heavy  = grep { $_->{heavy} } map { @$_ } @drawn;
    for my $i (0 .. SESSIONS - 1) {
        my $session = $self->{writers}[$i];
        my @sql     = ($finish[$i] // ());
        # Triggers that were left switched off come on again after a while.
        push @sql, 'ALTER TABLE ' . shift(@{ $self->{disabled} }) . ' ENABLE TRIGGER ALL;' if @{ $self->{disabled} } && chance(0.2);
        for my $transaction (@{ $drawn[$i] }) {
            my $is_last = $transaction == $drawn[$i][-1];
            my $hold = $is_last && !$heavy && $transaction->{finish} ne '' && chance(0.3);
            push @sql, $transaction->{sql}, $hold ? () : $transaction->{finish};
            $self->{held}[$i] = $transaction->{finish} if $hold;
            $self->{transactions}++;
            $self->{slipped} = { map { $_ => 1 } @views } if $transaction->{slips} || defined $transaction->{disables};
            $self->{unsound} = 1 if %{ $self->{slipped} };
            push @{ $self->{disabled} }, $transaction->{disables} if defined $transaction->{disables};
            $self->{count}{"$_"}++ for @{ $transaction->{kinds} };
        }
        $self->{count}{transactions} += @{ $drawn[$i] };
        push @{ $self->{recent} }, sprintf '-- session %d: %s%s', $i + 1, join(', ', map { join '+', @{ $_->{kinds} } } @{ $drawn[$i] }),
          $self->{held}[$i] ? ' (stays open)' : '';
        push @{ $self->{recent} }, @sql;
        $session->send(join "\n", @sql);
    }
    my $refresh = chance(0.3) ? refresh_sql($self->now, 'incremental', 0) : undef;
    if (defined $refresh) {
        push @{ $self->{recent} }, '-- meanwhile', $refresh;
        $self->{control}->send($refresh);
    }
    for my $i (0 .. SESSIONS - 1) {
        $self->check_errors('session ' . ($i + 1), $self->{writers}[$i]->answer);
    }
    if (defined $refresh) {
        # One that loses against a TRUNCATE or an ALTER TABLE is tried again in a moment.
        for (grep { $_ ne 'SET' } $self->{control}->answer) {
            die "a refresh among writers: $_\n" unless /\|refreshed\||\|failed\|(?:55P03|40P01)/;
        }
    }
    splice @{ $self->{recent} }, 0, -200 if @{ $self->{recent} } > 200;
    return;
}

sub check_errors {
    my ($self, $session, @lines) = @_;
    for (@lines) {
        $self->{count}{$_}++ if /^(?:COMMIT|ROLLBACK)/;
        next unless my ($state) = WhiteCross::Session::error($_);
        $self->{count}{"error $state"}++;
        die "unexpected error $state in $session\n" unless $expected{$state};
    }
    return;
}

# What is still open is brought to its end.
sub finish {
    my ($self) = @_;
    for my $i (grep { $self->{held}[$_] } 0 .. SESSIONS - 1) {
        $self->{writers}[$i]->send($self->{held}[$i]);
        $self->check_errors('session ' . ($i + 1), $self->{writers}[$i]->answer);
    }
    $self->{held} = [];
    return;
}

# By minutes, hours, days or a year, on or back; often to where something is due.
sub move_clock {
    my ($self) = @_;
    my $dice = rand;
    my $step =
        $dice < 0.30 ? 0
      : $dice < 0.55 ? 60 * (1 + int rand 90)
      : $dice < 0.68 ? 3600 * (1 + int rand 14)
      : $dice < 0.78 ? 86400 * (1 + int rand 8)
      : $dice < 0.82 ? 86400 * (20 + int rand 100)
      : $dice < 0.84 ? 86400 * one_of(364, 365, 366)
      : $dice < 0.90 ? -60 * (1 + int rand 600)
      : $dice < 0.92 ? -86400 * (1 + int rand 40)
      : $dice < 0.93 ? -86400 * 365
      :                0;
    $self->{clock} += $step;
    $self->{clock} -= $self->{clock} % 300 if chance(0.5);
    # To the next midnight in New York, in winter or summer, or a second before it.
    $self->{clock} += -($self->{clock} - one_of(4, 5) * 3600) % 86400 - one_of(0, 0, 1) if $dice > 0.95;
    $self->{clock} = $anchor + int rand 86400 if $self->{clock} > $latest || (abs($self->{clock} - $anchor) > 86400 * 60 && chance(0.15));
    $self->{rows}->set_clock($self->{clock});
    return;
}

sub now { my ($self) = @_; return strftime('%Y-%m-%d %H:%M:%S+00', gmtime $self->{clock}) }

# All views, in one of the ways in which they can be; then each must be true, and nothing pending.
sub refresh_all {
    my ($self) = @_;
    my ($before, $after) = ('', '');
    my $mode    = one_of(('incremental') x 8, ('auto') x 4, 'concurrent');
    # Where triggers are off, workers put them back.
    my $workers = chance($self->{are_off} ? 0.6 : 0.08) ? 2 : 0;
    if ($workers == 0 && chance(0.15)) {
        # In a transaction that writes too, before and after. What it writes after the refresh is for the next one.
        my $write = sub { my $t; do { $t = $self->{writes}->statement([], map { $_ => 1 } qw(update insert soft_delete parent)) } while $t =~ /\\copy/; $t };
        ($before, $after) = ("SET lock_timeout = '150ms'; BEGIN; " . $write->(), chance(0.6) ? 'COMMIT;' : 'ROLLBACK;');
        push @{ $self->{recent} }, '-- in its transaction', $before, "(the refresh) $after";
        $self->{control}->send("$before\n" . refresh_sql($self->now, $mode, 0) . (chance(0.5) ? $write->() : '') . "\n$after RESET lock_timeout;");
        $self->check_errors('the refreshing session', $self->{control}->answer);
    }
    my $sql = refresh_sql($self->now, $mode, $workers);
    push @{ $self->{recent} }, $sql;
    my @rows = $self->{control}->ask($sql);
    return "a refresh did not succeed: @rows" if grep({ /\|refreshed\|/ } @rows) != @views;
    $self->{refreshes}++;
    $self->{count}{"mode $_"}++ for map { (split /\|/)[1] } grep { /\|refreshed\|/ } @rows;
    $self->{count}{'views refreshed'} += @views;
    $self->{are_off} = $self->{control}->ask(q{SELECT count(*) FROM (SELECT reason FROM wc_refresh_log ORDER BY id DESC LIMIT 6) AS l WHERE reason ~ 'switched off';});
    # While a trigger is off, or no longer in its state, changes slip past views that are not refreshed.
    $self->{unsound} = $self->{are_off} || @{ $self->{disabled} };
    $self->{slipped} = $self->{unsound} ? { map { $_ => 1 } @views } : {};
    return $self->judge(@views);
}

# One or two views: the others lag, and must know it.
sub refresh_some {
    my ($self) = @_;
    my %chosen = map { $_ => 1 } one_of(@views), one_of(@views);
    for my $view (sort keys %chosen) {
        my $sql = sprintf q{SET whitecross.now = '%s'; SELECT view_name, mode, status, sqlstate, message FROM wc_refresh('%s', '%s');},
          $self->now, $view, one_of('incremental', 'auto');
        push @{ $self->{recent} }, $sql;
        my @rows = $self->{control}->ask($sql);
        return "a refresh did not succeed: @rows" unless grep { /\|refreshed\|/ } @rows;
        delete $self->{slipped}{$view} unless $self->{unsound};
    }
    $self->{refreshes}++;
    return $self->judge(sort keys %chosen);
}

# The views given have just been refreshed.
sub judge {
    my ($self, @refreshed) = @_;
    my %fresh = map { $_ => 1 } @refreshed;
    my @faults;
    for ($self->{control}->ask('SELECT view_name, missing, extra, pending FROM wc_verify();')) {
        my ($view, $missing, $extra, $pending) = split /\|/;
        push @faults, "wc_verify: $view has $missing missing, $extra extra, $pending pending"
          if $fresh{$view} ? "$missing $extra $pending" ne '0 0 0' : $pending eq '0' && "$missing $extra" ne '0 0' && !$self->{slipped}{$view};
    }
    for ($self->{control}->ask('TABLE truth.comparison;')) {
        my ($view, $missing, $extra, $keys) = split /\|/;
        push @faults, "truth: $view has $missing missing, $extra extra: keys $keys" if $fresh{$view} && "$missing $extra" ne '0 0';
    }
    return join "\n", @faults;
}

# What came before a fault.
sub report {
    my ($self) = @_;
    diag("seed $self->{seed}, after $self->{transactions} transactions; the last ones:");
    my @recent = @{ $self->{recent} };
    diag($_) for grep { /^--/ } @recent > 60 ? @recent[ -60 .. -1 ] : @recent;
    diag('the statements themselves are in the log of the test');
    note($_) for @recent;
    note(scalar $self->{control}->ask(q{SELECT view_name, mode, status, keys_refreshed, rows_written, reason FROM wc_refresh_log ORDER BY id DESC LIMIT 12;}));
    return;
}

sub quit {
    my ($self) = @_;
    $self->finish;
    $_->quit for @{ $self->{writers} }, $self->{control};
    return;
}

1;
