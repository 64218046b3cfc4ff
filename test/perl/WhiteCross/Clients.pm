package WhiteCross::Clients;

# Connections that do nothing, many of them, without a process for each: this one speaks the protocol as far as a connection needs.

use strict;
use warnings;

use Exporter qw(import);
use IO::Select;
use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(connect_clients send_query last_answer);

# connect_clients(NODE, DATABASE, ROLE, NUMBER): that many connections, each ready for a query. They last as long as what is returned;
# close() ends one. Dies with the server's words where one is refused.
sub connect_clients {
    my ($node, $database, $role, $number) = @_;
    return map { connect_client($node, $database, $role) } 1 .. $number;
}

sub connect_client {
    my ($node, $database, $role) = @_;
    my $path = $node->host . '/.s.PGSQL.' . $node->port;
    my $client = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!\n";
    my $body = pack('N', 196608) . join('', map { "$_\0" } 'user', $role, 'database', $database, 'application_name', 'client') . "\0";
    $client->syswrite(pack('N', 4 + length $body) . $body);
    last_answer($client);
    return $client;
}

# send_query(CLIENT, SQL): without waiting for its end.
sub send_query {
    my ($client, $sql) = @_;
    $client->syswrite('Q' . pack('N', 4 + length($sql) + 1) . "$sql\0");
    return;
}

# last_answer(CLIENT): waits until it is ready for a query. Dies with the server's words where the connection ends; an error of a
# query is returned.
sub last_answer {
    my ($client) = @_;
    my $error;
    while (1) {
        my $head = take($client, 5) // die(($error // 'the server closed the connection') . "\n");
        my ($type, $length) = unpack 'aN', $head;
        my $body = take($client, $length - 4) // '';
        ($error) = $body =~ /\0M([^\0]*)/ if $type eq 'E';
        return $error if $type eq 'Z';
    }
    return;
}

sub take {
    my ($client, $length) = @_;
    my $bytes = '';
    my $select = IO::Select->new($client);
    while (length $bytes < $length) {
        die "the server does not answer\n" unless $select->can_read($PostgreSQL::Test::Utils::timeout_default);
        return if !$client->sysread($bytes, $length - length $bytes, length $bytes);
    }
    return $bytes;
}

1;
