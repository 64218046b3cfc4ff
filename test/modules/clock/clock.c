/*
 * Gives the programs that it is loaded into (LD_PRELOAD) another time of day: ahead by the number of seconds that the file CLOCK_OFFSET_FILE
 * has, 8 bytes in the machine's order, at this very moment.  The monotonic clock is left alone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *offset;

__attribute__((constructor)) static void map_offset(void)
{
    const char *name = getenv("CLOCK_OFFSET_FILE");
    int file = name != NULL ? open(name, O_RDONLY) : -1;
    void *mapped = file >= 0 ? mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
    if (file >= 0)
        close(file);
    if (mapped != MAP_FAILED)
        offset = mapped;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec real;
    (void) zone;
    if (clock_gettime(CLOCK_REALTIME, &real) != 0)
        return -1;
    now->tv_sec = real.tv_sec + (offset != NULL ? *offset : 0);
    now->tv_usec = real.tv_nsec / 1000;
    return 0;
}
