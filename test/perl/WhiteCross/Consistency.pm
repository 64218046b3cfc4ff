package WhiteCross::Consistency;

# Whether what the result cache gives is ever older than it may be. Several processes, each with a session, write and read at
# random, and each checks what it reads:
#
# - Each process has objects of its own of all kinds (KINDS: rows of shared tables, a partition, a materialized view, a function
#   ...), which hold a version. Its transaction number n puts n into some of them, and is committed, rolled back or prepared first.
# - What it is about to write stands in a file that all processes have open, and then that it began; that it has ended gets there
#   as soon as the server has said so.
# - Before a read it is noted which transactions of each process had ended, afterwards which had begun. For each process, what was
#   read must be what there is after one and the same of the transactions between these two.
#
#   my $check = WhiteCross::Consistency->new($node, 'postgres', processes => 8);
#   my %result = $check->run(seconds => 10, meanwhile => sub { ... });
#
# A machine that has little time for it takes longer: until enough => sub { ... }, which is given the number of transactions that
# have ended since it began, says so.

use strict;
use warnings;

use Fcntl qw(O_RDWR O_CREAT);
use PostgreSQL::Test::Utils;
use POSIX ();
use Time::HiRes qw(time);
use WhiteCross::Cache;
use WhiteCross::Session;

# How a version gets into each kind of object, and how it is read. W is the process, N the version. late: it may be written only
# when the transaction commits. few: it is written less often, since all entries depend on it.
use constant KINDS => (
    { name => 'rows', read => 'SELECT %d AS o, w, v FROM rows', where => 'w', write => [
            'UPDATE rows SET v = N WHERE w = W', 'DELETE FROM rows WHERE w = W; INSERT INTO rows VALUES (W, N)',
            'MERGE INTO rows USING (VALUES (W, N)) AS n (w, v) ON n.w = rows.w WHEN MATCHED THEN UPDATE SET v = n.v',
            'WITH u AS (UPDATE rows SET v = N WHERE w = W RETURNING 1) SELECT count(*) FROM u', q{DO 'BEGIN UPDATE rows SET v = N WHERE w = W; END'},
            'SAVEPOINT a; UPDATE rows SET v = -1; ROLLBACK TO a; UPDATE rows SET v = N WHERE w = W', 'SAVEPOINT a; UPDATE rows SET v = N WHERE w = W; RELEASE a',
            'DELETE FROM rows WHERE w = W; COPY rows (w, v) FROM PROGRAM \'printf "%s\\t%s\\n" W N\'' ] },
    { name => 'parts', read => 'SELECT %d AS o, w, v FROM parts', where => 'w', write => [
            'UPDATE parts SET v = N WHERE w = W', 'UPDATE parts_W SET v = N', 'TRUNCATE parts_W; INSERT INTO parts VALUES (W, N)' ], rare => [
            'ALTER TABLE parts DETACH PARTITION parts_W; UPDATE parts_W SET v = N; ALTER TABLE parts ATTACH PARTITION parts_W FOR VALUES IN (W)' ] },
    { name => 'cascaded', read => 'SELECT %d AS o, w, v FROM cascaded', where => 'w', write => ['UPDATE keys SET v = N WHERE w = W'] },
    { name => 'triggered', late => 1, read => 'SELECT %d AS o, w, v FROM triggered', where => 'w', write => [ 'INSERT INTO source VALUES (W, N)', 'SET CONSTRAINTS late IMMEDIATE; INSERT INTO source VALUES (W, N)' ] },
    { name => 'heirs', read => 'SELECT %d AS o, w, v FROM heirs', where => 'w', write => [ 'UPDATE heirs_W SET v = N', 'UPDATE heirs SET v = N WHERE w = W' ] },
    { name => 'copied', read => 'SELECT %d AS o, w, v FROM copied_W', write => ['UPDATE base_W SET v = N; REFRESH MATERIALIZED VIEW copied_W'] },
    { name => 'shown', read => 'SELECT %d AS o, w, v FROM shown_W', write => ['CREATE OR REPLACE VIEW shown_W AS SELECT W AS w, N::bigint AS v'] },
    { name => 'computed', few => 1, read => 'SELECT %d AS o, W AS w, computed_W() AS v', write => ['CREATE OR REPLACE FUNCTION computed_W() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS \'BEGIN RETURN N; END\''] },
    { name => 'anew', read => 'SELECT %d AS o, w, v FROM anew_W', write => [ 'DROP TABLE anew_W; CREATE TABLE anew_W AS SELECT W AS w, N::bigint AS v',
            'ALTER TABLE anew_W RENAME TO old_W; CREATE TABLE anew_W (v bigint, w int); INSERT INTO anew_W VALUES (N, W); DROP TABLE old_W' ] },
    { name => 'emptied', read => 'SELECT %d AS o, w, v FROM emptied_W', write => [ 'TRUNCATE emptied_W; INSERT INTO emptied_W VALUES (W, N)', 'UPDATE emptied_W SET v = N' ] },
    { name => 'lied', read => 'SELECT %d AS o, W AS w, lied_W(0) AS v', write => ['UPDATE hidden_W SET v = N'] },
);

# What happens besides, which changes no version.
use constant BESIDES => (
    'ANALYZE rows', 'VACUUM emptied_W', 'CREATE INDEX IF NOT EXISTS rows_v ON rows (v)', 'DROP INDEX IF EXISTS rows_v', 'ALTER TABLE rows ADD COLUMN x_W int DEFAULT 1; ALTER TABLE rows DROP COLUMN x_W',
    'CREATE TEMP TABLE mine (w int, v bigint); INSERT INTO mine VALUES (W, -1); DROP TABLE mine', q{SELECT count(wc_cache_invalidate('rows'))}, q{SELECT count(wc_cache_invalidate_tag('t%'))},
    'SELECT count(wc_cache_clear())', 'CREATE SCHEMA other_W; DROP SCHEMA other_W', 'BEGIN; DROP TABLE anew_W; ROLLBACK', 'BEGIN; LOCK TABLE rows; COMMIT', 'VACUUM FULL emptied_W', 'REINDEX TABLE keys',
);

use constant HEADER => 16;         # begun, ended
use constant LIMIT  => 200_000;    # transactions of a process

sub new {
    my ($class, $node, $database, %options) = @_;
    my $self = bless { node => $node, database => $database, processes => $options{processes} // 8, seed => $options{seed} // POSIX::floor(time), dir => PostgreSQL::Test::Utils::tempdir() }, $class;
    my $last = $self->{processes} - 1;
    $node->safe_psql($database, <<"SQL");
CREATE TABLE rows (w int, v bigint);
CREATE TABLE parts (w int, v bigint) PARTITION BY LIST (w);
CREATE TABLE keys (w int, v bigint, PRIMARY KEY (w, v));
CREATE TABLE cascaded (w int, v bigint, FOREIGN KEY (w, v) REFERENCES keys ON UPDATE CASCADE);
CREATE TABLE source (w int, v bigint);
CREATE TABLE triggered (w int, v bigint);
CREATE FUNCTION triggered() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE triggered SET v = new.v WHERE w = new.w; RETURN NULL; END';
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON source DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION triggered();
CREATE TABLE heirs (w int, v bigint);
DO \$do\$
BEGIN
  FOR w IN 0 .. $last LOOP
    INSERT INTO rows VALUES (w, 0);
    EXECUTE format('CREATE TABLE parts_%1\$s PARTITION OF parts FOR VALUES IN (%1\$s); INSERT INTO parts VALUES (%1\$s, 0)', w);
    INSERT INTO keys VALUES (w, 0);
    INSERT INTO cascaded VALUES (w, 0);
    INSERT INTO triggered VALUES (w, 0);
    EXECUTE format('CREATE TABLE heirs_%1\$s () INHERITS (heirs); INSERT INTO heirs_%1\$s VALUES (%1\$s, 0)', w);
    EXECUTE format('CREATE TABLE base_%1\$s AS SELECT %1\$s AS w, 0::bigint AS v; CREATE MATERIALIZED VIEW copied_%1\$s AS SELECT w, v FROM base_%1\$s', w);
    EXECUTE format('CREATE VIEW shown_%1\$s AS SELECT %1\$s AS w, 0::bigint AS v', w);
    EXECUTE format('CREATE FUNCTION computed_%1\$s() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS ''BEGIN RETURN 0; END''', w);
    EXECUTE format('CREATE TABLE anew_%1\$s AS SELECT %1\$s AS w, 0::bigint AS v', w);
    EXECUTE format('CREATE TABLE emptied_%1\$s AS SELECT %1\$s AS w, 0::bigint AS v', w);
    EXECUTE format('CREATE TABLE hidden_%1\$s AS SELECT 0::bigint AS v', w);
    EXECUTE format('CREATE FUNCTION lied_%1\$s(int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS ''BEGIN RETURN (SELECT v + \$1 FROM hidden_%1\$s); END''', w);
  END LOOP;
END\$do\$;
SQL
    for my $w (0 .. $last) {
        sysopen(my $file, $self->file($w), O_RDWR | O_CREAT) or die "$!\n";
        syswrite $file, pack 'QQ', 0, 0;
    }
    return $self;
}

sub file { my ($self, $w) = @_; return "$self->{dir}/process_$w" }
sub result { my ($self, $w) = @_; return "$self->{dir}/result_$w" }
sub over { my ($self) = @_; return "$self->{dir}/over" } # is there when all are to end

# ---- What all processes know of each.

sub open_files { my ($self) = @_; for my $w (0 .. $self->{processes} - 1) { sysopen($self->{file}[$w], $self->file($w), O_RDWR) or die "$!\n" } return }
sub get { my ($self, $w, $at, $format, $size) = @_; sysseek($self->{file}[$w], $at, 0); sysread($self->{file}[$w], my $bytes, $size); return unpack $format, $bytes }
sub put { my ($self, $w, $at, $format, @values) = @_; sysseek($self->{file}[$w], $at, 0); syswrite($self->{file}[$w], pack($format, @values)); return }
sub begun { return $_[0]->get($_[1], 0, 'Q', 8) }
sub ended { return $_[0]->get($_[1], 8, 'Q', 8) }
# Which kinds the transactions first .. last wrote.
sub written { my ($self, $w, $first, $last) = @_; return $last < $first ? () : $self->get($w, HEADER + 2 * $first, 'S*', 2 * ($last - $first + 1)) }

# ---- One process.

sub work {
    my ($self, $me) = @_;
    srand($self->{seed} * 100 + $me);
    $self->open_files;
    $self->{me} = $me;
    my $s = $self->{session} = WhiteCross::Session->new($self->{node}, $self->{database});
    $s->ask("SET client_min_messages = error; SET search_path = public; SET lock_timeout = '300ms';");
    $self->put($me, HEADER + 2 * LIMIT, 'L', $s->{process});
    $self->{known} = [ map { { at => 0, last => [ (0) x KINDS ] } } 1 .. $self->{processes} ];
    $self->{count} = {};
    until (-e $self->over || $self->{violation}) {
        my $chance = rand;
        if    ($chance < 0.900) { $self->read_some }
        elsif ($chance < 0.990) { $self->write_some }
        elsif ($chance < 0.995) { $self->besides }
        else                    { $self->cancel_one }
    }
    $s->quit;
    return;
}

sub filled { my ($text, $w, $n) = @_; return $text =~ s/\bW\b|(?<=_)W\b/$w/gr =~ s/\bN\b/$n/gr }

# A query of some kinds of some processes, from a choice small enough that entries are met again.
sub some_query {
    my ($self) = @_;
    my @kinds = (KINDS);
    my $o     = int rand @kinds;
    my $w     = int rand $self->{processes};
    my @more  = rand() < 0.4 ? grep { $_ > $o } ($o + 1 + int rand 3) % @kinds : ();
    if ($kinds[$o]{where} && !@more && rand() < 0.5) { return (sprintf($kinds[$o]{read}, $o) . ' ORDER BY w') }
    my $text = join ' UNION ALL ', map {
        my $kind = $kinds[$_];
        sprintf(filled($kind->{read}, $w, 0), $_) . ($kind->{where} ? ' WHERE w = $1' : '')
    } $o, @more;
    return ($text, $text =~ /\$1/ ? $w : ());
}

sub read_some {
    my ($self, %own) = @_; # own: what this transaction has written and not committed
    my ($query, @params) = $self->some_query;
    my %options = (params => \@params, columns => 'o int, w int, v bigint');
    $options{tag} = 'tagged' if rand() < 0.1;
    my @low = map { $self->ended($_) } 0 .. $self->{processes} - 1;
    $self->{session}->send(WhiteCross::Cache::call($query, %options));
    my @lines = $self->{session}->answer;
    my @high  = map { $self->begun($_) } 0 .. $self->{processes} - 1;
    $self->{count}{reads}++;
    if (my ($error) = map { WhiteCross::Session::error($_) } @lines) {
        $self->{count}{"read error $error"}++;
        # 57014 canceled, 55P03 lock timeout, 40P01 deadlock
        $self->{violation} = "error $error: $query (@params)" if $error !~ /^(57014|55P03|40P01)$/ && !%own;
        return 0;
    }
    my @seen;
    for (@lines) {
        my ($o, $w, $v) = split /\|/;
        $seen[$w]{$o} = $v;
    }
    $self->{violation} = "no rows: $query (@params)" unless @seen;
    for my $w (grep { $seen[$_] } 0 .. $#seen) { $self->check($w, $seen[$w], $low[$w], $high[$w], $query, $w == $self->{me} ? %own : ()) }
    return 1;
}

# Whether this is what there was after one of the transactions low .. high.
sub check {
    my ($self, $w, $seen, $low, $high, $query, %own) = @_;
    my $known = $self->{known}[$w];
    my $count = () = KINDS;
    for my $written ($self->written($w, $known->{at} + 1, $low)) {
        $known->{at}++;
        for (0 .. $count - 1) { $known->{last}[$_] = $known->{at} if $written & 1 << $_ }
    }
    my @last  = @{ $known->{last} };
    my @kinds = (KINDS);
    my $n     = $low;
    my $fits = sub {
        for my $o (keys %$seen) {
            next if defined $own{$o} && $seen->{$o} == $own{$o};
            return 0 if $seen->{$o} != $last[$o] || defined $own{$o} && !$kinds[$o]{late};
        }
        return 1;
    };
    return if $fits->();
    # The process's own transaction under way is no candidate: it knows what it has written.
    for my $written ($w == $self->{me} ? () : $self->written($w, $low + 1, $high)) {
        $n++;
        for (0 .. $count - 1) { $last[$_] = $n if $written & 1 << $_ }
        return if $fits->();
    }
    $self->{violation} = "process $self->{me}: " . join(', ', map { "$kinds[$_]{name} of $w is $seen->{$_}, was " . ($own{$_} // $known->{last}[$_]) . " after $low" } sort keys %$seen) . ", begun $high: $query";
    my @params = $query =~ /\$1/ ? ($w) : ();
    $self->{violation} .= ' (plainly ' . join(' ', split /\n/, WhiteCross::Cache::answer($self->{session}, WhiteCross::Cache::plain($query, params => \@params, type => 'NULL::record'))) . ')';
    return;
}

sub write_some {
    my ($self) = @_;
    my ($s, $me) = @$self{ 'session', 'me' };
    my $n     = $self->begun($me) + 1;
    die "too many transactions\n" if $n >= LIMIT;
    my @kinds = (KINDS);
    my @chosen = sort { $a <=> $b } keys %{ { map { (int(rand @kinds) => 1) } 0 .. int rand 3 } };
    @chosen = grep { !$kinds[$_]{few} || rand() < 0.2 } @chosen;
    my $mask  = 0;
    $mask |= 1 << $_ for @chosen;
    my $end = rand() < 0.15 ? 'ROLLBACK' : rand() < 0.12 ? 'PREPARE' : 'COMMIT';
    $self->put($me, HEADER + 2 * $n, 'S', $end eq 'ROLLBACK' ? 0 : $mask);
    $self->put($me, 0, 'Q', $n);
    my %own;
    my $inside = rand() < 0.2;
    my @statements;
    # By itself: where it is cancelled, what follows it would be committed one by one.
    do { $s->send('BEGIN;') } until ($s->answer)[-1] eq 'BEGIN';
    for my $o (@chosen) {
        my $write = $kinds[$o]{rare} && rand() < 0.1 ? $kinds[$o]{rare} : $kinds[$o]{write};
        push @statements, filled($write->[ int rand @$write ], $me, $n);
        $own{$o} = $n;
        if ($inside) {
            $s->send(join(';', splice @statements) . ';');
            last if map { WhiteCross::Session::error($_) } $s->answer;
            last unless $self->read_some(%own);
        }
    }
    push @statements, $end eq 'PREPARE' ? "PREPARE TRANSACTION 'of_$me'" : $end;
    $s->send(join(';', @statements) . ';');
    my @lines = $s->answer;
    for (map { WhiteCross::Session::error($_) } @lines) {
        $self->{count}{"write error $_"}++;
        # 22P04, 38000: the program that COPY reads from is cancelled with its session.
        $self->{violation} //= "error $_ of: @statements" unless /^(57014|55P03|40P01|25P02|22P04|38000)$/;
    }
    my $committed = $lines[-1] eq ($end eq 'PREPARE' ? 'PREPARE TRANSACTION' : 'COMMIT');
    if ($end eq 'PREPARE' && $committed) {
        $self->read_some for 1 .. int rand 4;
        # A cancelled one is tried again.
        do { $s->send("COMMIT PREPARED 'of_$me';"); @lines = $s->answer; } until $lines[-1] eq 'COMMIT PREPARED';
    }
    if (!$committed && WhiteCross::Session::error($lines[-1])) { # COMMIT was cancelled: the transaction has failed and is still there
        do { $s->send('ROLLBACK;') } until ($s->answer)[-1] eq 'ROLLBACK';
    }
    $self->{count}{ $committed ? lc $end : 'rolled back' }++;
    $self->put($me, HEADER + 2 * $n, 'S', 0) unless $committed;
    $self->put($me, 8, 'Q', $n);
    return;
}

sub besides {
    my ($self) = @_;
    my @besides = (BESIDES);
    $self->{session}->send(filled($besides[ int rand @besides ], $self->{me}, 0) . ';');
    return unless map { WhiteCross::Session::error($_) } $self->{session}->answer;
    $self->{session}->send('ROLLBACK;');
    $self->{session}->answer;
    return;
}

# Cancels what another process is at.
sub cancel_one {
    my ($self) = @_;
    my $other = $self->get(int rand $self->{processes}, HEADER + 2 * LIMIT, 'L', 4) // return;
    return if $other == $self->{session}{process};
    $self->{session}->send("SELECT pg_cancel_backend($other);");
    $self->{session}->answer;
    return;
}

# ---- All of them.

sub run {
    my ($self, %options) = @_;
    my $until = time + $options{seconds};
    my $last  = $self->{processes} - 1;
    my @processes;
    unlink $self->over;
    $self->open_files;
    my $before = 0;
    $before += $self->ended($_) for 0 .. $last;
    for my $w (0 .. $last) {
        my $pid = fork // die "$!\n";
        if ($pid == 0) {
            eval { $self->work($w); 1 } or $self->{violation} //= "died: $@";
            $self->{count}{violation} = $self->{violation} if $self->{violation};
            PostgreSQL::Test::Utils::append_to_file($self->result($w), join '', map { "$_\t" . ($self->{count}{$_} =~ s/\s+/ /gr) . "\n" } sort keys %{ $self->{count} });
            POSIX::_exit(0);
        }
        push @processes, $pid;
    }
    my $enough = sub {
        my $ended = -$before;
        $ended += $self->ended($_) for 0 .. $last;
        return !$options{enough} || $options{enough}->($ended);
    };
    my $latest = $until + $PostgreSQL::Test::Utils::timeout_default;
    until (time > $latest || time > $until && ($enough->() || grep { -e $self->result($_) } 0 .. $last)) {
        $options{meanwhile} ? $options{meanwhile}->() : select undef, undef, undef, 0.1;
    }
    PostgreSQL::Test::Utils::append_to_file($self->over, '');
    waitpid $_, 0 for @processes;
    my %total = (violations => []);
    for my $w (0 .. $last) {
        my $file = $self->result($w);
        push @{ $total{violations} }, "no result of process $w" unless -e $file;
        for (split /\n/, -e $file ? PostgreSQL::Test::Utils::slurp_file($file) : '') {
            my ($name, $value) = split /\t/, $_, 2;
            if   ($name eq 'violation') { push @{ $total{violations} }, $value }
            else                        { $total{$name} += $value }
        }
        unlink $file;
    }
    $self->{seed}++;
    return %total;
}

1;
