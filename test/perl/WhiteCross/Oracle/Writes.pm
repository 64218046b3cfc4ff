package WhiteCross::Oracle::Writes;

# Random transactions against the tables that the views read, of every kind of statement that writes. A transaction is
#
#   { sql => 'BEGIN; ...', finish => 'COMMIT;' or '' where sql is complete, kinds => ['update', ...],
#     slips => whether it may change something behind the triggers' back, disables => a table whose triggers it leaves off }
#
# where finish may be kept back: the transaction then stays open over a refresh.

use strict;
use warnings;

use WhiteCross::Oracle::Rows qw(one_of chance);

my @LEAVES = qw(health_records allergies vaccinations chronic_conditions appointments medication_logs);
my @VIEWS  = qw(mv_student_health_summary mv_compliance_status mv_medication_schedule mv_allergy_summary mv_appointment_statistics);

# How often a kind of statement is drawn.
my %weight = (
    insert => 9, copy => 5, update => 18, update_unread => 3, update_same => 3, delete => 6, soft_delete => 6, upsert => 5, merge => 6,
    parent => 7, move => 5, key => 5, cascade => 2, restore => 4, truncate => 0.3, with => 3);

# How often a way to wrap statements into a transaction is.
my %wrapping = (
    alone => 14, transaction => 40, rollback => 7, savepoint => 14, block => 5, replica => 6, triggers_off => 0.4, triggers_left_off => 0.2,
    prepared => 4, isolated => 5, writer_role => 5, by_hand => 0.4, partition => 0.6);

sub new {
    my ($class, $rows, %given) = @_; # files => folder for COPY, divided => bool
    return bless { rows => $rows, number => 0, %given }, $class;
}

sub drawn {
    my ($weights) = @_;
    my $total = 0;
    $total += $_ for values %$weights;
    my $point = rand $total;
    for my $name (sort keys %$weights) {
        $point -= $weights->{$name};
        return $name if $point < 0;
    }
    die 'not reached';
}

sub leaf { return one_of(@LEAVES) }

sub table { return chance(0.7) ? leaf() : one_of(qw(student_medications student_medications students students medications users schools)) }

# Where to write rows of a table that are there already: itself or, where it has any, a partition or child.
sub place {
    my ($self, $table) = @_;
    my $parts = $self->{divided} ? $self->{parts}{$table} : undef;
    return $parts && chance(0.5) ? one_of(@$parts) : $table;
}

sub quoted { return join ', ', map { qq("$_") } @_ }

# Which rows of a place: one, those of a student, or some.
sub some_rows {
    my ($self, $table, $place) = @_;
    my $rows = $self->{rows};
    return '"studentId" = ' . $rows->any_key('students') if chance(0.2) && $rows->has($table, 'studentId');
    return sprintf q{id IN (SELECT id FROM %s ORDER BY md5(id::text || '%d') LIMIT %d)}, $place, rand 1000, 1 + rand 5 if chance(0.2);
    return 'id = ' . $rows->any_key($place);
}

sub set { my ($self, $table) = @_; return join ', ', map { qq("$_->[0]" = $_->[1]) } @{ $self->{rows}->assignments($table) } }

my %statement = (
    insert => sub {
        my ($self) = @_;
        my ($rows, $table) = ($self->{rows}, chance(0.85) ? one_of(@LEAVES, 'student_medications') : one_of(qw(students users schools medications)));
        # Straight into the child, which takes any row.
        my $place = $self->{divided} && $table eq 'allergies' && chance(0.5) ? 'allergies_old' : $table;
        return "INSERT INTO $place (" . quoted($rows->columns($table)) . ') ' . $rows->new_rows($table, 1 + int rand 3) . ';';
    },
    copy => sub {
        my ($self) = @_;
        my ($rows, $table) = ($self->{rows}, one_of(@LEAVES, 'student_medications', 'students'));
        my $file = sprintf '%s/copy%d', $self->{files}, ++$self->{number};
        my $select = $rows->new_rows($table, 1 + int rand 4) =~ s/\n/ /gr;
        return "\\copy ($select) TO '$file'\n\\copy $table (" . quoted($rows->columns($table)) . ") FROM '$file'";
    },
    update => sub {
        my ($self) = @_;
        my $table = table();
        my $place = $self->place($table);
        return "UPDATE $place SET " . $self->set($table) . ' WHERE ' . $self->some_rows($table, $place) . ';';
    },
    update_unread => sub {
        my ($self) = @_;
        return one_of(q{UPDATE students SET gender = 'F' WHERE id = } . $self->{rows}->any_key('students'),
            'UPDATE vital_signs SET notes = notes', q{UPDATE appointments SET reason = 'other'}, q{UPDATE schools SET phone = '1'}) . ';';
    },
    update_same => sub {
        my ($self) = @_;
        my $table = table();
        my ($column) = @{ one_of(@{ $self->{rows}->assignments($table) }) };
        return qq(UPDATE $table SET "$column" = "$column";);
    },
    delete => sub {
        my ($self) = @_;
        my $table = chance(0.85) ? leaf() : 'student_medications';
        my $place = $self->place($table);
        return "DELETE FROM $place WHERE " . $self->some_rows($table, $place) . ';';
    },
    soft_delete => sub {
        my ($self) = @_;
        my $table = one_of(grep { $self->{rows}->has($_, 'deletedAt') } @LEAVES, qw(student_medications students medications));
        my $rows = $self->some_rows($table, $table);
        return $table eq 'students' || chance(0.5)
          ? qq(UPDATE $table SET "deletedAt" = CASE WHEN "deletedAt" IS NULL THEN now() END WHERE $rows;)
          : qq(UPDATE $table SET "deletedAt" = now() WHERE $rows;);
    },
    upsert => sub {
        my ($self) = @_;
        my ($rows, $table) = ($self->{rows}, one_of(@LEAVES, qw(student_medications students medications users)));
        my @columns = $rows->columns($table);
        # Rows as they were at first, under a key that may be there, or new ones.
        my $select = chance(0.3) ? $rows->new_row($table)
          : 'SELECT ' . quoted(@columns) . " FROM spare.$table AS s WHERE " . $rows->has_parents($table)
          . sprintf q{ ORDER BY md5(id::text || '%d') LIMIT %d}, rand 1000, 1 + rand 3;
        my ($set) = map { qq("$_->[0]" = ) . (chance(0.5) ? $_->[1] : qq(excluded."$_->[0]")) } one_of(@{ $rows->assignments($table) });
        $set = '"updatedAt" = now()' if $set =~ /isControlled|deaSchedule|requiresWitness|epiPen/;
        my $target = $self->{divided} && $table eq 'appointments' ? '(id, "scheduledAt")' : '(id)';
        $set = 'duration = 45' if $table eq 'appointments' && $set =~ /scheduledAt/;
        my $action = chance(0.8) ? "$target DO UPDATE SET $set" : 'DO NOTHING';
        return "INSERT INTO $table (" . quoted(@columns) . ") $select ON CONFLICT $action;";
    },
    merge => sub {
        my ($self) = @_;
        my ($rows, $table) = ($self->{rows}, one_of(@LEAVES, 'student_medications'));
        my @columns = $rows->columns($table);
        my $old = 'SELECT ' . quoted(@columns) . " FROM spare.$table AS s WHERE " . $rows->has_parents($table)
          . sprintf q{ AND abs(hashtext(id::text || '%d')) %% 8 = 0}, rand 1000;
        my $source = chance(0.3) ? "($old) UNION ALL (" . $rows->new_row($table) . ')' : $old;
        return "MERGE INTO $table AS t USING ($source) AS s ON t.id = s.id"
          . (chance(0.3) ? ' WHEN MATCHED AND ascii(md5(t.id::text)) % 3 = 0 THEN DELETE' : '')
          . ' WHEN MATCHED THEN UPDATE SET ' . $self->set($table)
          . ' WHEN NOT MATCHED THEN INSERT (' . quoted(@columns) . ') VALUES (' . join(', ', map { qq(s."$_") } @columns) . ');';
    },
    # A row that many rows of the views show.
    parent => sub {
        my ($self) = @_;
        my $table = one_of(qw(medications medications users users schools students));
        return "UPDATE $table SET " . $self->set($table) . ' WHERE ' . $self->some_rows($table, $table) . ';';
    },
    move => sub {
        my ($self) = @_;
        my $rows = $self->{rows};
        my $table = one_of(@LEAVES, qw(student_medications student_medications students students));
        my ($column, $parent) = @{ one_of(grep { $rows->has($table, $_->[0]) }
                [ studentId => 'students' ], [ nurseId => 'users' ], [ schoolId => 'schools' ], [ medicationId => 'medications' ],
                [ studentMedicationId => 'student_medications' ]) };
        return qq(UPDATE $table SET "$column" = ) . $rows->any_key($parent) . ' WHERE ' . $self->some_rows($table, $table) . ';';
    },
    # A primary key: foreign keys follow it with ON UPDATE CASCADE.
    key => sub {
        my ($self) = @_;
        my ($rows, $table) = ($self->{rows}, one_of(qw(students students users schools medications student_medications), leaf()));
        return 'UPDATE students AS s SET id = o.id FROM spare.students AS o WHERE o."studentNumber" = s."studentNumber" AND o.id <> s.id;'
          if $table eq 'students' && chance(0.3);
        my $key = $rows->new_key;
        return "UPDATE $table SET id = '$key' WHERE id = " . $rows->any_key($table) . ';';
    },
    cascade => sub {
        my ($self) = @_;
        my $table = chance(0.04) ? 'schools' : one_of(qw(students students users));
        return "DELETE FROM $table WHERE id = " . $self->{rows}->any_key($table) . ';';
    },
    restore => sub { my ($self) = @_; return $self->restore },
    truncate => sub {
        my ($self) = @_;
        my $table = leaf();
        return 'TRUNCATE students CASCADE; ' . $self->restore if chance(0.1);
        return 'TRUNCATE ' . $self->place($table) . '; ' . (chance(0.7) ? $self->restore($table) : '');
    },
    with => sub {
        my ($self) = @_;
        my ($rows, $table) = ($self->{rows}, one_of(@LEAVES));
        my @columns = $rows->columns($table);
        my $student = $rows->any_key('students');
        return "WITH gone AS (DELETE FROM $table WHERE " . $self->some_rows($table, $table) . ' RETURNING *) INSERT INTO ' . $table
          . ' (' . quoted(@columns) . ') SELECT ' . join(', ', map { $_ eq 'id' ? 'gen_random_uuid()' : qq("$_") } @columns) . ' FROM gone;'
          if chance(0.5);
        return "WITH one AS (UPDATE $table SET " . $self->set($table) . " WHERE \"studentId\" = $student RETURNING \"studentId\"),"
          . qq( two AS (UPDATE students SET "updatedAt" = now() WHERE id IN (SELECT "studentId" FROM one) RETURNING id) SELECT count(*) >= 0 FROM two;);
    });

# The rows that a table, or every one, had at first and has no more.
sub restore {
    my ($self, $table) = @_;
    my $rows = $self->{rows};
    return join ' ', map {
        my $columns = quoted($rows->columns($_));
        "INSERT INTO $_ ($columns) SELECT $columns FROM spare.$_ AS s WHERE " . $rows->has_parents($_)
          . " AND NOT EXISTS (SELECT FROM $_ AS t WHERE t.id = s.id) ON CONFLICT DO NOTHING;"
    } defined $table ? $table : @WhiteCross::Oracle::Rows::TABLES;
}

sub statement {
    my ($self, $kinds, %only) = @_;
    my $kind = drawn(%only ? { map { $_ => $weight{$_} } keys %only } : \%weight);
    push @$kinds, $kind;
    return $statement{$kind}->($self);
}

sub transaction {
    my ($self) = @_;
    my $wrapping = drawn($self->{divided} ? \%wrapping : { %wrapping, partition => 0 });
    my @kinds = ($wrapping);
    my $statements = sub { join "\n", map { $self->statement(\@kinds) } 1 .. 1 + int rand 3 };
    my $transaction = { kinds => \@kinds, finish => 'COMMIT;', slips => 0, heavy => 0 };
    if ($wrapping eq 'alone') {
        @$transaction{qw(sql finish)} = ($self->statement(\@kinds), '');
    } elsif ($wrapping eq 'savepoint') {
        my $inner = $statements->();
        $inner .= "\nSAVEPOINT b;\n" . $self->statement(\@kinds) . "\nROLLBACK TO b;" if chance(0.3);
        $transaction->{sql} = 'BEGIN; ' . (chance(0.6) ? $self->statement(\@kinds) : '') . "\nSAVEPOINT a;\n$inner\n"
          . one_of('ROLLBACK TO a;', 'ROLLBACK TO a;', 'RELEASE a;') . "\n" . (chance(0.6) ? $self->statement(\@kinds) : '');
    } elsif ($wrapping eq 'block') {
        # Subtransactions of a function: one that fails, one that does not.
        my @inner = map { $self->statement(\@kinds, map { $_ => 1 } qw(update delete soft_delete parent move key)) } 1 .. 2;
        $transaction->{sql} = "BEGIN; DO \$do\$ BEGIN BEGIN $inner[0] PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END; "
          . "BEGIN $inner[1] EXCEPTION WHEN integrity_constraint_violation THEN NULL; END; END \$do\$;";
    } elsif ($wrapping eq 'isolated') {
        $transaction->{sql} = 'BEGIN ISOLATION LEVEL ' . one_of('REPEATABLE READ', 'SERIALIZABLE') . '; ' . $statements->();
    } elsif ($wrapping eq 'replica') {
        # What foreign keys would refuse or carry on is left out: replication brings those rows by itself.
        $transaction->{sql} = 'BEGIN; SET LOCAL session_replication_role = replica; '
          . join "\n", map { $self->statement(\@kinds, map { $_ => 1 } qw(insert copy update delete soft_delete upsert merge parent truncate)) } 1 .. 2;
    } elsif ($wrapping eq 'writer_role') {
        # Nobody who may do more than write the tables.
        $transaction->{sql} = 'BEGIN; SET LOCAL ROLE oracle_writer; '
          . join "\n", map { $self->statement(\@kinds, map { $_ => 1 } qw(insert update delete soft_delete upsert merge parent move key)) } 1 .. 2;
    } elsif ($wrapping eq 'triggers_off') {
        my ($table, $which) = (one_of(@LEAVES, qw(students student_medications medications users)), one_of('ALL', 'USER'));
        my @inner = map { my $place = $self->place($table); "UPDATE $place SET " . $self->set($table) . ' WHERE ' . $self->some_rows($table, $place) . ';' } 1 .. 2;
        $transaction = { %$transaction, slips => 1,
            sql => "BEGIN; ALTER TABLE $table DISABLE TRIGGER $which; @inner ALTER TABLE $table ENABLE TRIGGER $which; " . $self->statement(\@kinds) };
    } elsif ($wrapping eq 'triggers_left_off') {
        my $table = one_of(@LEAVES, qw(students users));
        $transaction = { %$transaction, slips => 1, disables => $table, sql => "BEGIN; ALTER TABLE $table DISABLE TRIGGER ALL; " . $statements->() };
    } elsif ($wrapping eq 'prepared') {
        my $name = sprintf 'oracle %d %d', $$, ++$self->{number};
        $transaction = { %$transaction, sql => 'BEGIN; ' . $statements->() . "\nPREPARE TRANSACTION '$name';",
            finish => one_of('COMMIT', 'COMMIT', 'ROLLBACK') . " PREPARED '$name';" };
    } elsif ($wrapping eq 'by_hand') {
        $transaction = { %$transaction, slips => 1, heavy => 1, finish => '',
            sql => "SET whitecross.now = '" . $self->{rows}->moment(0) . "'; REFRESH MATERIALIZED VIEW " . one_of('', 'CONCURRENTLY ') . one_of(@VIEWS) . ';' };
    } elsif ($wrapping eq 'partition') {
        # Out, written while it is on its own, and in again; or left out until the next time.
        my $part = one_of(sort keys %{ $self->{detachable} });
        my ($table, $bounds, $rows) = @{ $self->{detachable}{$part} };
        my ($in, $out) = ("ALTER TABLE $table ATTACH PARTITION $part $bounds;", "ALTER TABLE $table DETACH PARTITION $part;");
        my $write = "UPDATE $part SET " . one_of(qq("deletedAt" = NULL), qq(status = 'COMPLETED'), 'duration = 45') . ' WHERE ' . $self->some_rows($table, $part) . ';';
        $transaction = { %$transaction, slips => 1,
            sql => 'BEGIN; ' . one_of("$rows $write $in", "$rows $in $write", "$out $write $in", "$out $write", "$out DELETE FROM $part; $in") };
    } else {
        $transaction->{sql} = 'BEGIN; ' . $statements->();
        $transaction->{finish} = 'ROLLBACK;' if $wrapping eq 'rollback';
    }
    $transaction->{heavy} = 1 if $transaction->{slips} || grep { $_ eq 'truncate' } @kinds;
    return $transaction;
}

1;
