/*
 * usage: turns ROUNDS EXECUTIONS CLIENTS {NAME sql CONNINFO STATEMENT | NAME redis SOCKET|PORT NAME}...
 *
 * How long a client waits for an answer, by several ways that take turns: in each round EXECUTIONS by each way, fewer by one that has taken
 * 20 ms by then, one way after the other, each round in another order, so that what else the machine does is in all of them. With several CLIENTS each has connections of its own, and all
 * are at the same way at the same time.
 *
 * sql: a prepared statement, by libpq. Where it has a parameter, that is a number which is never given twice. redis: GET, by hiredis, over
 * the same kind of socket, of the bytes that the way of that name, which stands before it, answers with.
 *
 * Prints for each way: its name, how many bytes it answers with, how many executions there were, then in microseconds the median, the 99th of a hundred and the mean of what
 * the clients waited; of the processor time that the server's process took for one (sql alone; by the kernel's own account,
 * /proc/PID/schedstat) the median over the rounds, and the median of its differences from the first way in the same round.
 */
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { most_ways = 16, most_clients = 16, rounds_before = 3, longest_turn = 20000 };

struct way {
    const char *name, *where, *statement;
    int source;       /* redis: the way whose bytes it has */
    int parameters;
    long bytes;
    double *waited;   /* of all clients, rounds and executions */
    long count[most_clients]; /* of each client's executions */
    double *spent;    /* of all clients and rounds: one execution */
};

static struct way ways[most_ways];
static int way_count, rounds, executions, clients;
static pthread_barrier_t together;

static void give_up(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void *room(size_t bytes) {
    void *memory = malloc(bytes);
    if (memory == NULL)
        give_up("turns", "out of memory");
    return memory;
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

static double processor_time(int pid) {
    char name[64];
    long long spent = -1;
    snprintf(name, sizeof name, "/proc/%d/schedstat", pid);
    FILE *file = fopen(name, "r");
    if (file == NULL || fscanf(file, "%lld", &spent) != 1)
        give_up(name, "can't be read");
    fclose(file);
    return spent / 1e3;
}

static int compare(const void *a, const void *b) {
    const double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static void sort(double *values, long count) { qsort(values, count, sizeof *values, compare); }

static long size_of(const PGresult *result) {
    long bytes = 0;
    for (int row = 0; row < PQntuples(result); ++row)
        for (int column = 0; column < PQnfields(result); ++column)
            bytes += PQgetlength(result, row, column);
    return bytes;
}

static PGresult *execute(PGconn *connection, const struct way *way, long number) {
    char text[24];
    const char *const values[] = {text};
    snprintf(text, sizeof text, "%ld", number);
    PGresult *result = PQexecPrepared(connection, "s", way->parameters, values, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
        give_up(way->name, PQerrorMessage(connection));
    return result;
}

/* A socket's path, or the port of this machine's loopback address. */
static redisContext *connect_redis(const char *where) { return where[0] == '/' ? redisConnectUnix(where) : redisConnect("127.0.0.1", atoi(where)); }

static void ask_redis(redisContext *context, const struct way *way) {
    redisReply *reply = redisCommand(context, "GET %s", way->name);
    if (reply == NULL || reply->type != REDIS_REPLY_STRING || (long)reply->len != way->bytes)
        give_up(way->name, "Redis does not give back what was stored");
    freeReplyObject(reply);
}

/* Stores what the statement answers with, field after field. */
static void store(redisContext *context, struct way *way, PGconn *source) {
    PGresult *result = execute(source, &ways[way->source], 0);
    char *bytes = room(size_of(result) + 1);
    for (int row = 0; row < PQntuples(result); ++row)
        for (int column = 0; column < PQnfields(result); ++column) {
            memcpy(bytes + way->bytes, PQgetvalue(result, row, column), PQgetlength(result, row, column));
            way->bytes += PQgetlength(result, row, column);
        }
    redisReply *reply = redisCommand(context, "SET %s %b", way->name, bytes, (size_t)way->bytes);
    if (reply == NULL || reply->type != REDIS_REPLY_STATUS)
        give_up(way->name, "Redis does not store");
    freeReplyObject(reply);
    free(bytes);
    PQclear(result);
}

static void *client(void *argument) {
    const int me = *(const int *)argument;
    PGconn *connection[most_ways] = {NULL};
    redisContext *context[most_ways] = {NULL};
    for (int i = 0; i < way_count; ++i) {
        struct way *way = &ways[i];
        if (way->source >= 0) {
            context[i] = connect_redis(way->where);
            if (context[i] == NULL || context[i]->err)
                give_up(way->where, context[i] ? context[i]->errstr : "out of memory");
            if (me == 0)
                store(context[i], way, connection[way->source]);
            continue;
        }
        connection[i] = PQconnectdb(way->where);
        if (PQstatus(connection[i]) != CONNECTION_OK)
            give_up(way->name, PQerrorMessage(connection[i]));
        PGresult *result = PQprepare(connection[i], "s", way->statement, 0, NULL);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            give_up(way->name, PQerrorMessage(connection[i]));
        PQclear(result);
        result = PQdescribePrepared(connection[i], "s");
        way->parameters = PQnparams(result);
        PQclear(result);
    }
    /* Rounds that don't count: caches, and the plan that the server settles on after five executions. */
    for (int round = -rounds_before; round < rounds; ++round)
        for (int turn = 0; turn < way_count; ++turn) {
            const int i = (turn + round + rounds_before) % way_count;
            struct way *way = &ways[i];
            pthread_barrier_wait(&together);
            const double before = context[i] ? 0 : processor_time(PQbackendPID(connection[i]));
            const double began = now();
            int n = 0;
            for (; n == 0 || (n < executions && now() - began < longest_turn); ++n) {
                const long number = 1 + n + (long)executions * (round + rounds_before + (long)(rounds + rounds_before) * me);
                const double asked = now();
                if (context[i]) {
                    ask_redis(context[i], way);
                } else {
                    PGresult *result = execute(connection[i], way, number);
                    if (me == 0)
                        way->bytes = size_of(result);
                    PQclear(result);
                }
                if (round >= 0)
                    way->waited[me * (long)rounds * executions + way->count[me]++] = now() - asked;
            }
            if (round >= 0 && !context[i])
                way->spent[me * rounds + round] = (processor_time(PQbackendPID(connection[i])) - before) / n;
        }
    for (int i = 0; i < way_count; ++i) {
        if (context[i])
            redisFree(context[i]);
        else
            PQfinish(connection[i]);
    }
    return NULL;
}

int main(int count, char **arguments) {
    if (count < 8 || count % 4 != 0 || count / 4 - 1 > most_ways)
        give_up(arguments[0], "ROUNDS EXECUTIONS CLIENTS {NAME sql CONNINFO STATEMENT | NAME redis SOCKET|PORT NAME}...");
    rounds = atoi(arguments[1]);
    executions = atoi(arguments[2]);
    clients = atoi(arguments[3]);
    if (rounds < 1 || executions < 1 || clients < 1 || clients > most_clients)
        give_up(arguments[0], "no such number of rounds, executions or clients");
    const long samples = (long)clients * rounds * executions;
    for (int i = 4; i < count; i += 4) {
        struct way *way = &ways[way_count];
        *way = (struct way){.name = arguments[i], .where = arguments[i + 2], .statement = arguments[i + 3], .source = -1};
        way->waited = room(samples * sizeof *way->waited);
        way->spent = room((long)clients * rounds * sizeof *way->spent);
        if (strcmp(arguments[i + 1], "redis") == 0) {
            for (int other = 0; other < way_count; ++other)
                if (strcmp(ways[other].name, way->statement) == 0)
                    way->source = other;
            if (way->source < 0)
                give_up(way->statement, "no way of that name stands before");
        }
        ++way_count;
    }
    pthread_t thread[most_clients];
    int number[most_clients];
    pthread_barrier_init(&together, NULL, clients);
    for (int i = 0; i < clients; ++i) {
        number[i] = i;
        if (pthread_create(&thread[i], NULL, client, &number[i]) != 0)
            give_up(arguments[0], "no thread");
    }
    for (int i = 0; i < clients; ++i)
        pthread_join(thread[i], NULL);
    const int slices = clients * rounds;
    double *spent = room(slices * sizeof *spent), *more = room(slices * sizeof *more);
    for (int i = 0; i < way_count; ++i) {
        struct way *way = &ways[i];
        long count = 0;
        double sum = 0;
        for (int me = 0; me < clients; ++me)
            for (long n = 0; n < way->count[me]; ++n)
                sum += way->waited[count++] = way->waited[me * (long)rounds * executions + n];
        sort(way->waited, count);
        for (int n = 0; n < slices; ++n) {
            spent[n] = way->source >= 0 ? 0 : way->spent[n];
            more[n] = way->source >= 0 ? 0 : way->spent[n] - ways[0].spent[n];
        }
        sort(spent, slices);
        sort(more, slices);
        printf("%s\t%ld\t%ld\t%.3f\t%.3f\t%.3f\t%.3f\t%.4f\n", way->name, way->bytes, count, way->waited[count / 2],
               way->waited[count * 99 / 100], sum / count, spent[slices / 2], more[slices / 2]);
    }
    return 0;
}
