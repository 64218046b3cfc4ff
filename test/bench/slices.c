/*
 * usage: slices ROUNDS STATEMENTS CONNINFO...
 *
 * Processor time of a prepared SELECT of one row by its key, on several servers, in slices that are so short that what else the machine
 * does is in the slices of all of them: in each round STATEMENTS executions on each server, one server after the other, each round in
 * another order. The time is that of the server's process, by the kernel's own account of it (/proc/PID/schedstat, nanoseconds).
 *
 * Prints for each server: the median of its slices, and the median of their differences from the first server's slice of the same round,
 * in microseconds for one statement.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum { most = 8 };

static void give_up(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static long long nanoseconds_of(int pid) {
    char name[64];
    long long spent = -1;
    snprintf(name, sizeof name, "/proc/%d/schedstat", pid);
    FILE *file = fopen(name, "r");
    if (file == NULL || fscanf(file, "%lld", &spent) != 1)
        give_up(name, "can't be read");
    fclose(file);
    return spent;
}

static int compare(const void *a, const void *b) {
    const double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static double median(double *values, int count) {
    qsort(values, count, sizeof *values, compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

int main(int count, char **arguments) {
    const int rounds = count > 2 ? atoi(arguments[1]) : 0;
    const int statements = count > 2 ? atoi(arguments[2]) : 0;
    const int servers = count - 3;
    PGconn *connection[most];
    double *slice[most];
    if (rounds < 1 || statements < 1 || servers < 1 || servers > most)
        give_up(arguments[0], "ROUNDS STATEMENTS CONNINFO...");
    for (int i = 0; i < servers; ++i) {
        connection[i] = PQconnectdb(arguments[3 + i]);
        if (PQstatus(connection[i]) != CONNECTION_OK)
            give_up(arguments[3 + i], PQerrorMessage(connection[i]));
        PGresult *result = PQprepare(connection[i], "s", "SELECT abalance FROM pgbench_accounts WHERE aid = $1", 0, NULL);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            give_up(arguments[3 + i], PQerrorMessage(connection[i]));
        PQclear(result);
        slice[i] = malloc(sizeof(double) * rounds);
        if (slice[i] == NULL)
            give_up(arguments[0], "out of memory");
    }
    /* Three rounds that don't count: caches, and the plan that the server settles on after five executions. */
    for (int round = -3; round < rounds; ++round)
        for (int turn = 0; turn < servers; ++turn) {
            const int i = (turn + round + 3) % servers;
            const long long before = nanoseconds_of(PQbackendPID(connection[i]));
            for (int n = 0; n < statements; ++n) {
                char key[16];
                const char *const values[] = {key};
                snprintf(key, sizeof key, "%d", 1 + rand() % 100000);
                PGresult *result = PQexecPrepared(connection[i], "s", 1, values, NULL, NULL, 0);
                if (PQntuples(result) != 1)
                    give_up(arguments[3 + i], PQerrorMessage(connection[i]));
                PQclear(result);
            }
            if (round >= 0)
                slice[i][round] = (nanoseconds_of(PQbackendPID(connection[i])) - before) / 1e3 / statements;
        }
    double *difference = malloc(sizeof(double) * rounds);
    double differences[most];
    if (difference == NULL)
        give_up(arguments[0], "out of memory");
    for (int i = 0; i < servers; ++i) {
        for (int round = 0; round < rounds; ++round)
            difference[round] = slice[i][round] - slice[0][round];
        differences[i] = median(difference, rounds);
    }
    for (int i = 0; i < servers; ++i)
        printf("%.4f %.4f\n", median(slice[i], rounds), differences[i]);
    for (int i = 0; i < servers; ++i)
        PQfinish(connection[i]);
    return 0;
}
