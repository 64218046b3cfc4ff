# Shared by the scripts of this folder, which source it: where things are, who the servers run as, how to say so.

set -euo pipefail
export LC_ALL=C.UTF-8
# A script that a make target runs calls make anew, not as a part of that make.
unset MAKEFLAGS MFLAGS MAKELEVEL

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$TOP"
BUILD=$TOP/build

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# The PostgreSQL that is built for: PG_MAJOR, or the one that this Debian release has.
pg_major() {
    if [ -n "${PG_MAJOR:-}" ]; then echo "$PG_MAJOR"; return; fi
    local codename=
    [ ! -r /etc/os-release ] || codename=$(. /etc/os-release; echo "${VERSION_CODENAME:-}")
    case $codename in
        trixie) echo 17 ;;
        *) echo 15 ;;
    esac
}

# Where scripts/private-postgres puts its copy; given a folder, where a copy of that copy is.
private_bin() { echo "${1:-$BUILD}/pg/usr/lib/postgresql/$(pg_major)/bin"; }
private_pgxs() { echo "${1:-$BUILD}/pg/usr/lib/postgresql/$(pg_major)/lib/pgxs"; }

# A PostgreSQL server refuses to run as root, so root hands it to the user that Debian's packages make for that.
server_user() { if [ "$(id -u)" = 0 ]; then echo postgres; else id -un; fi; }
# From a folder that this user can enter, which the clone need not be: every path given is a full one.
as_server_user() {
    if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# A fresh folder under /tmp that the server's user owns and nobody else can read: $1 is the prefix of its name.
# Not in the clone, which under /root that user can't read, and short, because a socket's path has a limit.
make_work_dir() {
    local dir
    dir=$(mktemp -d "/tmp/$1.XXXXXX")
    if [ "$(id -u)" = 0 ]; then chown "$(server_user)" "$dir"; fi
    echo "$dir"
}

# What the servers and their tests need of this clone, with the private PostgreSQL, into the work folder $1.
copy_to_work_dir() {
    local dir=$1
    tar --exclude=./build --exclude=./.git --exclude='*.o' --exclude=node_modules -cf - . | tar -xf - -C "$dir"
    mkdir -p "$dir/build"
    cp -a "$BUILD/pg" "$dir/build/pg"
    if [ "$(id -u)" = 0 ]; then chown -R "$(server_user):" "$dir"; fi
}

# A TCP port that nothing listens on, for the name of a socket too.
free_port() {
    perl -MIO::Socket::INET -e '
        for (1 .. 1000) {
            my $port = 20000 + int rand 12000;
            my $socket = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 1) or next;
            print "$port\n";
            exit 0;
        }
        die "no free TCP port found\n";'
}
