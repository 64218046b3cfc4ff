package WhiteCross::Cache;

# What the tests of the result cache share. Each look at the cache asks a query both through it and plainly, in the same session,
# and tells by the counters what the cache did meanwhile: a test says which rows and which of these it expects, so that none passes
# because nothing is ever cached, or because everything is thrown away.
#
#   my $cache = WhiteCross::Cache->new($node, 'district');
#   $cache->expect('name', $session, 'SELECT * FROM t WHERE a = $1', 'stored', params => ['x']);
#
# What the cache did is 'stored', 'hit', 'refused: REASON', 'missed' (asked for, not there, and not kept), or 'nothing'.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use WhiteCross::Redis;
use WhiteCross::Session;

use constant COUNTED => qw(hits misses stores invalidations expirations waits second_tier_hits second_tier_stores);

# For tests that count several calls at once: done() tells of the hits, misses and refusals since it was called last.
use constant SINCE_THE_LAST_LOOK => <<'SQL';
CREATE TABLE looked (hits bigint, misses bigint, refusals jsonb);
INSERT INTO looked VALUES (0, 0, '{}');
CREATE FUNCTION done() RETURNS text LANGUAGE plpgsql AS $$
DECLARE now looked; before looked;
BEGIN
  SELECT * INTO before FROM looked;
  SELECT s.hits, s.misses, s.refusals INTO now FROM wc_cache_stats AS s WHERE s.database = current_database();
  UPDATE looked SET hits = now.hits, misses = now.misses, refusals = now.refusals;
  RETURN format('%s hits, %s misses', now.hits - before.hits, now.misses - before.misses)
    || coalesce((SELECT string_agg(format(', %s %s', r.key, r.value::bigint - coalesce((before.refusals ->> r.key)::bigint, 0)), '' ORDER BY r.key)
                   FROM jsonb_each_text(now.refusals) AS r WHERE r.value::bigint <> coalesce((before.refusals ->> r.key)::bigint, 0)), '');
END $$;
SQL

sub new {
    my ($class, $node, $database, %options) = @_;
    my $self = bless { node => $node, database => $database, bystander => $options{bystander} }, $class;
    $self->{reader} = WhiteCross::Session->new($node, $database);
    return $self;
}

# A new session, in which warnings are part of the answers.
sub session {
    my ($self, %options) = @_;
    my $session = WhiteCross::Session->new($self->{node}, $options{database} // $self->{database});
    $session->ask("SET client_min_messages = warning;" . ($options{role} ? " SET SESSION AUTHORIZATION $options{role};" : ''));
    return $session;
}

# A Redis that has just been started, as the server's second tier, with a key of its own.
sub with_redis {
    my ($self, @options) = @_;
    my $redis = WhiteCross::Redis->new(@options)->start;
    my $keys  = $self->{node}->data_dir . '/cache_keys';
    write_secret($keys, key_text(7));
    $self->{node}->append_conf('postgresql.conf', "whitecross.redis_key_file = '$keys'\nwhitecross.redis_conninfo = 'host=" . $redis->socket . "'\nwhitecross.redis_timeout = '1s'\n");
    $self->{node}->reload;
    $self->{node}->poll_query_until($self->{database}, q{SELECT current_setting('whitecross.redis_conninfo') <> ''}) or die "no second tier\n";
    return $redis;
}

# After a restart of the server.
sub reconnect {
    my ($self) = @_;
    $self->{reader} = WhiteCross::Session->new($self->{node}, $self->{database});
    return;
}

sub quote { my ($text) = @_; return 'NULL' unless defined $text; return "'" . ($text =~ s/'/''/gr) . "'" }

# The counters of the database, refusals by reason among them.
sub counters {
    my ($self) = @_;
    my $columns = join ', ', COUNTED;
    my ($line) = $self->{reader}->ask("SELECT $columns FROM wc_cache_stats WHERE database = current_database();");
    my %counter;
    @counter{ (COUNTED) } = defined $line ? split(/\|/, $line) : (0) x COUNTED;
    for ($self->{reader}->ask(q{SELECT r.key, r.value FROM wc_cache_stats, jsonb_each_text(refusals) AS r WHERE database = current_database();})) {
        my ($reason, $number) = split /\|/;
        $counter{"refused: $reason"} = $number;
    }
    return \%counter;
}

# What has happened between two readings.
sub done {
    my ($before, $after) = @_;
    my %more = map { $_ => $after->{$_} - ($before->{$_} // 0) } keys %$after;
    my @refused = grep { /^refused/ && $more{$_} > 0 } sort keys %more;
    return join ', ', @refused if @refused;
    return 'hit'    if $more{hits} == 1 && $more{misses} == 0 && $more{stores} == 0;
    return 'stored' if $more{stores} == 1 && $more{hits} == 0;
    return 'missed' if $more{misses} > 0 && $more{hits} == 0 && $more{stores} == 0;
    return 'nothing' unless $more{hits} || $more{misses} || $more{stores};
    return join ' ', map { "$_ $more{$_}" } grep { $more{$_} } sort keys %more;
}

# The statement that asks through the cache. With `type` (an expression, 'NULL::t') or `columns` (a column definition list) it is
# wc_cached(), otherwise wc_cached_json().
sub call {
    my ($query, %options) = @_;
    my $arguments = '$wc$' . $query . '$wc$, ARRAY[' . join(', ', map { quote($_) } @{ $options{params} // [] }) . ']::text[]';
    $arguments .= ", $_ => " . quote($options{$_}) for grep { defined $options{$_} } 'ttl', 'tag';
    my $after = $options{after} // '';
    return "SELECT * FROM wc_cached($options{type}, $arguments)$after;" if $options{type};
    return "SELECT * FROM wc_cached(NULL::record, $arguments) AS r ($options{columns})$after;" if $options{columns};
    return "SELECT * FROM wc_cached_json($arguments)$after;";
}

# The statement that asks plainly: parameters are there as literals of unknown type.
sub plain {
    my ($query, %options) = @_;
    return $options{plain} if defined $options{plain};
    my @params = @{ $options{params} // [] };
    $query =~ s/\$(\d+)/quote($params[$1 - 1])/ge;
    my $after = $options{after} // '';
    return "SELECT * FROM ($query) AS plain_row$after;" if $options{columns} || $options{type} && $after;
    return "$query;" if $options{type};
    return "SELECT to_jsonb(plain_row) FROM ($query) AS plain_row$after;";
}

# What a session says to a statement, its errors as 'ERROR:  SQLSTATE'.
sub answer {
    my ($session, $sql) = @_;
    $session->send($sql);
    return join "\n", map { s/^psql:[^ ]* //r } $session->answer;
}

# Asks through the cache: what the cache did, and the lines.
sub ask {
    my ($self, $session, $query, %options) = @_;
    my $before = $self->counters;
    my $rows = answer($session, call($query, %options));
    return (done($before, $self->counters), $rows);
}

# One test: the rows are the plain query's, and the cache did what is expected. Returns the rows.
sub expect {
    my ($self, $name, $session, $query, $expected, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($done, $rows) = $self->ask($session, $query, %options);
    my $plain = answer($session, plain($query, %options));
    if   (ref $expected) { like("$done\n$rows", qr/\A$expected\n\Q$plain\E\z/, $name) }
    else                 { is("$done\n$rows", "$expected\n$plain", $name) }
    return $rows;
}

# Runs what a test wants done: statements in a session of their own, or a subroutine.
sub happen {
    my ($self, $event) = @_;
    return $event->() if ref $event;
    $self->{writer} //= $self->session;
    return $self->{writer}->ask("$event;");
}

# An entry is made and hit; then something happens, after which the answer is another one (unless same => 1) and is not taken from
# the cache but gets into it again (expected => ... otherwise). Entries of other tables stay (unless wide => 1).
sub changes {
    my ($self, $name, $session, $query, $event, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $expected = delete $options{expected} // 'stored';
    my ($same, $wide) = delete @options{ 'same', 'wide' };
    $self->ask($session, $query, %options); # is there now, or is made
    my $before = $self->expect("$name: is in the cache", $session, $query, 'hit', %options);
    $self->ask($session, $self->{bystander}) unless $wide;
    $self->happen($event);
    my $after = $self->expect("$name: new rows", $session, $query, $expected, %options);
    isnt($after, $before, "$name: other rows than before") unless $same;
    $self->expect("$name: is in the cache again", $session, $query, 'hit', %options) if $expected eq 'stored';
    $self->expect("$name: other tables' entries stay", $session, $self->{bystander}, 'hit') unless $wide;
    return;
}

# An entry is made; what happens then leaves it where it is.
sub keeps {
    my ($self, $name, $session, $query, $event, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $self->ask($session, $query, %options);
    $self->expect("$name: is in the cache", $session, $query, 'hit', %options);
    $self->happen($event);
    return $self->expect("$name: still is", $session, $query, 'hit', %options);
}

# Two settings of something give two entries, each with the plain rows, which differ (unless same => 1).
sub apart {
    my ($self, $name, $session, $query, $one, $other, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $same = delete $options{same};
    $session->ask("$one;");
    my $first = $self->expect("$name: one", $session, $query, 'stored', %options);
    $session->ask("$other;");
    my $second = $self->expect("$name: the other", $session, $query, 'stored', %options);
    isnt($first, $second, "$name: differ") unless $same;
    $session->ask("$one;");
    $self->expect("$name: one again", $session, $query, 'hit', %options);
    $session->ask("$other;");
    $self->expect("$name: the other again", $session, $query, 'hit', %options);
    return;
}

# A query that must never be kept, whoever asks how often.
sub refuses {
    my ($self, $name, $session, $query, $reason, %options) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $expected = ref $reason ? qr/refused: $reason/ : "refused: $reason";
    $self->expect("$name: refused", $session, $query, $expected, %options);
    $self->expect("$name: refused again", $session, $query, $expected, %options);
    return;
}

1;
