package WhiteCross::Oracle::Rows;

# Random rows and values for the tables that the views read, around a clock: most lie where a rule of a view changes its
# mind (half an hour from now, midnight, a year ago, 90 days ago). Both databases: a column that is not there is left out.
# The dice are Perl's own, which the caller seeds.

use strict;
use warnings;

use Exporter qw(import);
use POSIX qw(strftime);

our @EXPORT_OK = qw(one_of chance);

sub one_of { return $_[ int rand @_ ] }
sub chance { my ($share) = @_; return rand() < $share }

# Tables in the order in which rows can be inserted, and what a row hangs on: column => the row p of a parent.
our @TABLES = qw(schools users medications students student_medications medication_logs health_records allergies vaccinations
  chronic_conditions appointments);
my %parent = (map({ $_ => 'students' } qw(student_medications health_records allergies vaccinations chronic_conditions appointments)),
    medication_logs => 'student_medications');

sub new {
    my ($class, %given) = @_; # columns => { table => { column => type } }, divided => bool, clock => epoch seconds
    return bless { %given, number => 0, names => [qw(Ada Ben Cleo Dan Eve Finn)] }, $class;
}

sub set_clock { my ($self, $clock) = @_; $self->{clock} = $clock; return }

sub has { my ($self, $table, $column) = @_; return exists $self->{columns}{$table}{$column} }

sub columns { my ($self, $table) = @_; return sort keys %{ $self->{columns}{$table} } }

# A key that nothing has yet, the same one for the same seed.
sub new_key {
    return join '-', map { join '', map { sprintf '%x', int rand 16 } 1 .. $_ } 8, 4, 4, 4, 12;
}

# One row of a table, as a sub-select that gives no row where the table is empty.
sub any_row {
    my ($self, $table) = @_;
    return sprintf '(SELECT * FROM %1$s ORDER BY id OFFSET (SELECT trunc(%2$.5f * count(*))::bigint FROM %1$s) LIMIT 1)', $table, rand;
}

sub any_key {
    my ($self, $table) = @_;
    return sprintf '(SELECT id FROM %1$s ORDER BY id OFFSET (SELECT trunc(%2$.5f * count(*))::bigint FROM %1$s) LIMIT 1)', $table, rand;
}

# Moments and days as text.
sub moment {
    my ($self, $seconds) = @_;
    return strftime('%Y-%m-%d %H:%M:%S+00', gmtime($self->{clock} + $seconds));
}

sub day { my ($self, $days) = @_; return strftime('%Y-%m-%d', gmtime($self->{clock} - 5 * 3600 + $days * 86400)) }

# Around now: minutes of a dose, hours of a day, some days.
sub near { my ($self) = @_; return $self->moment(one_of(map({ 300 * ($_ - 8) } 0 .. 16), map { 3600 * ($_ - 30) } 0 .. 60)) }

# A day near to one of the given numbers of days from today; where the column is a moment, near to its midnight.
sub day_near {
    my ($self, $type, @days) = @_;
    my $day = $self->day(one_of(@days) + one_of(-2, -1, -1, 0, 0, 1, 1, 2));
    return $type eq 'date' ? $day : $day . one_of(' 04:59:59+00', ' 05:00+00', ' 12:00+00', ' 04:00+00', ' 03:59:59+00');
}

sub touched { my ($self) = @_; return $self->moment(-int rand 1e6) }
sub live { my ($self) = @_; return chance(0.75) ? undef : $self->moment(-86400) }
sub active { return one_of('true', 'true', 'true', 'false', undef) }

sub name { my ($self) = @_; return one_of(@{ $self->{names} }) . int rand 100 }

# What may stand in a column, by table: a function of the rows and the column's type.
my %value = (
    schools => { name => \&name, phone => sub { one_of('1', '2') } },
    users   => { firstName => \&name, lastName => \&name, phone => sub { one_of('1', '2') }, deletedAt => \&live },
    medications => { name => \&name, genericName => \&name, strength => sub { one_of('1', '2') }, deletedAt => \&live },
    students => {
        firstName => \&name, lastName => \&name, grade => sub { one_of('K', 1 .. 12) }, isActive => sub { one_of('true', 'true', 'true', 'false') },
        updatedAt => \&touched, deletedAt => \&live, gender => sub { one_of('F', 'M') }
    },
    student_medications => {
        dosage => sub { one_of('5 mg', '10 mg', '2.5 ml') }, route => sub { one_of('oral', 'nasal') }, frequency => sub { one_of('daily', 'twice') },
        instructions => sub { one_of('with food', '') }, isActive => \&active, deletedAt => \&live, updatedAt => \&touched, prescribedBy => \&name,
        startDate => sub { $_[0]->day_near($_[1], -30, 0, 0) }, endDate => sub { chance(0.4) ? undef : $_[0]->day_near($_[1], 30, 0, 0) },
        requiresWitness => sub { one_of('true', 'false', undef) }, scheduledTimes => \&times
    },
    medication_logs => {
        status => sub { one_of('ADMINISTERED', 'ADMINISTERED', 'PENDING', 'PENDING', 'REFUSED', 'MISSED') }, scheduledAt => \&near,
        administeredAt => \&near, deletedAt => \&live, reasonNotGiven => sub { one_of('asleep', undef) }
    },
    health_records => {
        recordType => sub { one_of('PHYSICAL_EXAM', 'VISION', 'HEARING', 'CHECKUP', 'ILLNESS') }, recordDate => sub { $_[0]->day_near($_[1], -365, -366, 0) },
        isActive => \&active, deletedAt => \&live, updatedAt => \&touched, title => \&name
    },
    allergies => {
        allergen => sub { one_of(qw(Peanut Milk Latex Bees)) }, allergyType => sub { one_of(qw(FOOD OTHER INSECT)) },
        severity => sub { one_of(qw(LIFE_THREATENING SEVERE MODERATE MILD UNKNOWN)) }, reaction => sub { one_of('hives', undef) },
        reactions => sub { one_of('["hives"]', '[]', undef) }, epiPenLocation => sub { one_of('Office', 'Gym', 'Bag') }, active => \&active,
        epiPenRequired => sub { one_of('false', 'false', undef) }, isActive => \&active, deletedAt => \&live, updatedAt => \&touched, notes => \&name
    },
    vaccinations => {
        vaccineType => sub { one_of(qw(MMR DTAP POLIO), undef) }, administrationDate => sub { $_[0]->day_near($_[1], -400, -30, -31) },
        nextDueDate => sub { chance(0.2) ? undef : $_[0]->day_near('date', 0, 0, 30, -100) },
        complianceStatus => sub { one_of(qw(COMPLIANT COMPLIANT NON_COMPLIANT OVERDUE EXEMPT PARTIALLY_COMPLIANT)) },
        deletedAt => \&live, updatedAt => \&touched, notes => \&name
    },
    chronic_conditions => { isActive => sub { one_of('true', 'false') }, deletedAt => \&live, updatedAt => \&touched, icdCode => sub { one_of('A', 'B') } },
    appointments => {
        type => sub { one_of(qw(CHECKUP ROUTINE_CHECKUP MEDICATION MEDICATION_ADMINISTRATION INJURY INJURY_ASSESSMENT ILLNESS SCREENING)) },
        status => sub { one_of(qw(COMPLETED COMPLETED CANCELLED NO_SHOW SCHEDULED CONFIRMED)) }, duration => sub { one_of(15, 30, 45) },
        scheduledAt => sub { chance(0.3) ? $_[0]->near : $_[0]->day_near('timestamptz', -90, -91, 0, 7) }, deletedAt => \&live, reason => \&name
    });

# Times of day as people write them, some of which mean nothing (see truth.times).
sub times {
    my ($self) = @_;
    return undef if chance(0.25);
    my $near = strftime('%H:%M', gmtime($self->{clock} + 300 * int(rand 24) - 5 * 3600));
    my @times = map { one_of($near, '08:00', '12:15 pm', '7:45', ' 08:30 ', '11:50 PM', '00:10', '9:05am', '13:20:30', 'noon', '25:00', '') } 1 .. 1 + int rand 3;
    return '{' . join(',', map { qq("$_") } @times) . '}';
}

# A value of the column as a literal of its type.
sub literal {
    my ($self, $table, $column) = @_;
    my $type = $self->{columns}{$table}{$column};
    my $value = $value{$table}{$column}->($self, $type);
    # The platform's column takes no NULL.
    $value //= $self->moment(0) if $column eq 'administeredAt';
    return 'NULL' unless defined $value;
    $value =~ s/'/''/g;
    return "'$value'::$type";
}

# Assignments: one or two columns at random. What a constraint ties together changes together.
sub assignments {
    my ($self, $table) = @_;
    if ($table eq 'medications' && chance(0.4)) {
        my ($controlled, $schedule, $witness) = @{ one_of(['false', 'NULL', 'false'], ['false', 'NULL', 'true'], ['false', 'NULL', 'NULL'],
                ['true', "'II'", 'true'], ['true', "'IV'", 'false'], ['true', "'V'", 'NULL']) };
        return [ [ isControlled => $controlled ], [ deaSchedule => $schedule ], [ requiresWitness => $witness ] ];
    }
    if ($table eq 'allergies' && chance(0.3)) {
        return chance(0.5) ? [ [ epiPenRequired => 'true' ], [ epiPenLocation => one_of("'Office'", "'Gym'", "'Bag'") ] ]
          : [ [ epiPenRequired => 'false' ], [ epiPenLocation => 'NULL' ] ];
    }
    my @columns = grep { $self->has($table, $_) && !($table eq 'allergies' && /^epiPen/) } sort keys %{ $value{$table} };
    my %chosen = map { $_ => 1 } one_of(@columns), one_of(@columns);
    return [ map { [ $_ => $self->literal($table, $_) ] } sort keys %chosen ];
}

# New rows of a table: a SELECT of all its columns in the order of columns(). Each is a copy of a row of the schema spare, with
# a key and values of its own, under a parent that is there.
sub new_rows {
    my ($self, $table, $number) = @_;
    return join "\nUNION ALL\n", map { $self->new_row($table) } 1 .. $number;
}

sub new_row {
    my ($self, $table) = @_;
    my %set = (id => "'" . new_key() . "'::uuid");
    for my $column (grep { $self->has($table, $_) } sort keys %{ $value{$table} }) {
        $set{$column} = $self->literal($table, $column) if chance(0.6) && !($table eq 'allergies' && $column =~ /^epiPen/);
    }
    my $unique = "'" . ++$self->{number} . '-' . int(rand 1e9) . "'";
    %set = (%set, code => $unique) if $table eq 'schools';
    %set = (%set, email => $unique) if $table eq 'users';
    %set = (%set, studentNumber => $unique, nurseId => $self->any_key('users'), schoolId => $self->any_key('schools'), medicalRecordNum => 'NULL')
      if $table eq 'students';
    my $from = "(SELECT * FROM spare.$table ORDER BY id OFFSET " . int(rand $self->{spare}{$table}) . ' LIMIT 1) AS r';
    if (my $parent = $parent{$table}) {
        $from .= ', ' . $self->any_row($parent) . ' AS p';
        %set = (%set, $table eq 'medication_logs'
            ? (studentId => 'p."studentId"', studentMedicationId => 'p.id', medicationId => 'p."medicationId"')
            : (studentId => 'p.id'));
        $set{medicationId} = $self->any_key('medications') if $table eq 'student_medications';
        $set{schoolId} = 'p."schoolId"';
        $set{nurseId} = chance(0.9) ? $self->any_key('users') : 'NULL' if $table eq 'appointments';
    }
    my @values = map { ($set{$_} // qq(r."$_")) . "::$self->{columns}{$table}{$_}" } $self->columns($table);
    return 'SELECT ' . join(', ', @values) . " FROM $from";
}

# Rows of the schema spare whose parents are there, as a condition on s.
sub has_parents {
    my ($self, $table) = @_;
    my @conditions = ('true');
    push @conditions, 'EXISTS (SELECT FROM students AS p WHERE p.id = s."studentId")' if $self->has($table, 'studentId');
    push @conditions, '(s."nurseId" IS NULL OR EXISTS (SELECT FROM users AS p WHERE p.id = s."nurseId"))' if $self->has($table, 'nurseId');
    push @conditions, 'EXISTS (SELECT FROM medications AS p WHERE p.id = s."medicationId")' if $self->has($table, 'medicationId');
    push @conditions, 'EXISTS (SELECT FROM student_medications AS p WHERE p.id = s."studentMedicationId")' if $self->has($table, 'studentMedicationId');
    push @conditions, '(s."schoolId" IS NULL OR EXISTS (SELECT FROM schools AS p WHERE p.id = s."schoolId"))',
      'NOT EXISTS (SELECT FROM students AS p WHERE p."studentNumber" = s."studentNumber" AND p.id <> s.id)' if $table eq 'students';
    return join ' AND ', @conditions;
}

1;
