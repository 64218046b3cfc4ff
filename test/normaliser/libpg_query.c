/*
 * The other normaliser of statements: what libpg_query makes of each statement that standard input has.
 *
 * Statements come one after another, each ended by a NUL byte, and so do the answers: the normalised text, or an empty
 * one for what it can't parse.
 */
#include <pg_query.h>

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char *statement = NULL;
    size_t room = 0;

    while (getdelim(&statement, &room, '\0', stdin) > 0)
    {
        PgQueryNormalizeResult result = pg_query_normalize(statement);

        if (result.error == NULL)
            fputs(result.normalized_query, stdout);
        putchar('\0');
        pg_query_free_normalize_result(result);
    }
    free(statement);
    pg_query_exit();
    return ferror(stdin) || fflush(stdout) != 0 ? 1 : 0;
}
