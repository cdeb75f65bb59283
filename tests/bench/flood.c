/* flood BYTES PIECE RESULT [GATE]: writes lines of 120 bytes to stdout, in pieces of PIECE bytes, and
 * then appends one line to RESULT: when it began and when it was done (CLOCK_MONOTONIC), and what
 * processor time that took, in seconds. It begins after 0.2 s, when what was started with it is
 * there. With GATE it waits for that file as well, and does not end.
 * flood sink: reads stdin to its end and throws it away, as quickly as one can.
 * flood tell COUNT: COUNT times, every 10 ms, a line "tells NS;" with the time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 120, TICK_MS = 10, BEGIN_MS = 200 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void wait_ms(long ms)
{
    struct timespec tick = {0, ms * 1000 * 1000};
    nanosleep(&tick, NULL);
}

static int tell(int count)
{
    char line[64];
    wait_ms(BEGIN_MS);
    while (count--) {
        struct timespec t;
        wait_ms(TICK_MS);
        clock_gettime(CLOCK_MONOTONIC, &t);
        int length = sprintf(line, "tells %lld;\n", t.tv_sec * 1000000000LL + t.tv_nsec);
        if (write(1, line, length) != length)
            return 1;
    }
    return 0;
}

static int note(const char *path, double begin, double end)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    char line[128];
    int length = sprintf(line, "%f %f %f\n", begin, end,
                         used.ru_utime.tv_sec + used.ru_stime.tv_sec
                             + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    return fd < 0 || write(fd, line, length) != length;
}

int main(int argc, char **argv)
{
    static char buffer[1 << 20];
    if (argc == 2 && !strcmp(argv[1], "sink")) {
        while (read(0, buffer, sizeof buffer) > 0)
            ;
        return 0;
    }
    if (argc == 3 && !strcmp(argv[1], "tell"))
        return tell(atoi(argv[2]));
    if (argc != 4 && argc != 5)
        return 2;
    long long left = atoll(argv[1]);
    size_t piece = atoll(argv[2]) / LINE * LINE;
    if (piece < LINE || piece > sizeof buffer)
        return 2;
    for (size_t at = 0; at < sizeof buffer; at++)
        buffer[at] = at % LINE == LINE - 1 ? '\n' : 'a' + at % 26;
    wait_ms(BEGIN_MS);
    while (argc == 5 && access(argv[4], F_OK) < 0)
        wait_ms(TICK_MS);
    double begin = now();
    while (left > 0) {
        ssize_t done = write(1, buffer, piece);
        if (done < 0)
            return 1;
        left -= done;
    }
    int failed = note(argv[3], begin, now());
    while (argc == 5)
        pause();
    return failed;
}
