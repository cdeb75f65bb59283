/* flood BYTES PIECE RESULT: writes lines of 120 bytes to stdout, in pieces of PIECE bytes, and then
 * to RESULT how long that took and what processor time it cost, in seconds.
 * flood sink: reads stdin to its end and throws it away, as quickly as one can. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static char buffer[1 << 20];
    if (argc == 2 && !strcmp(argv[1], "sink")) {
        while (read(0, buffer, sizeof buffer) > 0)
            ;
        return 0;
    }
    if (argc != 4)
        return 2;
    long long left = atoll(argv[1]);
    size_t piece = atoll(argv[2]) / 120 * 120;
    if (piece < 120 || piece > sizeof buffer)
        return 2;
    for (size_t at = 0; at < sizeof buffer; at++)
        buffer[at] = at % 120 == 119 ? '\n' : 'a' + at % 26;
    double begin = now();
    while (left > 0) {
        ssize_t done = write(1, buffer, piece);
        if (done < 0)
            return 1;
        left -= done;
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    FILE *result = fopen(argv[3], "w");
    fprintf(result, "%f %f\n", now() - begin,
            used.ru_utime.tv_sec + used.ru_stime.tv_sec
                + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return fclose(result) != 0;
}
