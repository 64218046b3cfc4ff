package WhiteCross::Cells;

# The result cache's generations as a test sees them (test/modules/cells): which tables' cells a statement has moved.
#
#   my $cells = WhiteCross::Cells->new($node, 'school');       # makes the functions that look
#   is($cells->moved(sub { $session->ask('UPDATE a SET v = 1;') }), 'a');
#
# What moved is told by name, in order: tables, views and types of the schemas given (public), `rules` and `names` of the
# database, `shared rules` and `shared names`, `everything`. What is marked still has a `!` after its name.

use strict;
use warnings;

use WhiteCross::Session;
use WhiteCross::Test;

sub new {
    my ($class, $node, $database, %options) = @_;
    my $library = tree() . '/test/modules/cells/whitecross_cells.so';
    $node->safe_psql($database, <<SQL) unless $options{made};
CREATE SCHEMA cells;
CREATE FUNCTION cells.cell_state(kind text, database oid, relation oid) RETURNS text AS '$library' LANGUAGE c STRICT;
CREATE FUNCTION cells.cell_storable(kind text, database oid, relation oid, since bigint) RETURNS bool AS '$library' LANGUAGE c STRICT;
CREATE FUNCTION cells.cells_moment() RETURNS bigint AS '$library' LANGUAGE c;
CREATE FUNCTION cells.cells_usable() RETURNS bool AS '$library' LANGUAGE c;
CREATE FUNCTION cells.cells_held() RETURNS int AS '$library' LANGUAGE c;
CREATE FUNCTION cells.cells_marked() RETURNS int AS '$library' LANGUAGE c;
CREATE FUNCTION cells.cells_wrote(relation oid) RETURNS bool AS '$library' LANGUAGE c STRICT;
CREATE FUNCTION cells.cells_write_late(sql text) RETURNS void AS '$library' LANGUAGE c STRICT;
SQL
    my $self = bless { schemas => $options{schemas} // ['public'], known => {} }, $class;
    $self->connect($node, $database);
    return $self;
}

# A new session to look with: after the server was started again.
sub connect {
    my ($self, $node, $database) = @_;
    delete $self->{session};
    $self->{session} = WhiteCross::Session->new($node, $database);
    return $self;
}

sub ask { my ($self, $sql) = @_; return $self->{session}->ask($sql) }

# What there is to look at: names, and the arguments that find the cell.
sub learn {
    my ($self) = @_;
    my $schemas = join ', ', map { "'$_'" } @{ $self->{schemas} };
    for my $line ($self->ask(<<SQL)) {
SELECT CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname, c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname IN ($schemas) AND c.relkind IN ('r', 'p', 'v', 'm', 'c', 'f');
SQL
        my ($name, $oid) = split /\|/, $line;
        $self->{known}{$name}{$oid} = 1;
    }
    return;
}

# Name -> state, of all that is known.
sub look {
    my ($self) = @_;
    my $database = '(SELECT oid FROM pg_database WHERE datname = current_database())';
    my @rows = ("('rules', 'rules', $database, 0)", "('names', 'names', $database, 0)", "('shared rules', 'rules', 0, 0)",
        "('shared names', 'names', 0, 0)", "('everything', 'everything', 0, 0)");
    for my $name (sort keys %{ $self->{known} }) {
        push @rows, "('$name', 'table', $database, $_)" for sort keys %{ $self->{known}{$name} };
    }
    my %state;
    for my $line ($self->ask('SELECT name, relation, cells.cell_state(kind, database, relation) FROM (VALUES ' . join(', ', @rows) . ') AS t (name, kind, database, relation);')) {
        my ($name, $relation, $state) = split /\|/, $line;
        $state{"$name|$relation"} = $state;
    }
    return \%state;
}

sub moved {
    my ($self, $run) = @_;
    $self->learn;
    my $before = $self->look;
    $run->();
    $self->learn;
    my $after = $self->look;
    my (%moved, %marked);
    for my $key (keys %$after) {
        my ($name) = split /\|/, $key;
        my ($generation, $marks) = split / /, $after->{$key};
        $moved{$name}  = 1 if ($before->{$key} // '1 0') !~ /^\Q$generation\E /;
        $marked{$name} = 1 if $marks > 0;
    }
    my %all = (%moved, %marked);
    return join ' ', map { $_ . ($marked{$_} ? '!' : '') } sort keys %all;
}

1;
