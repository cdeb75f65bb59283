/* A program that makes orphans which die, and says how long their zombies stay.
 *
 * argv[1] is MODE<COUNT>:FILE.
 *
 *   b<COUNT>:FILE  all are alive at once, then all die at once
 *   o<COUNT>:FILE  one after another, each dead as soon as it is born
 *
 * To FILE it appends "G NANOSECONDS COUNT": so long after the last one's death had every one of the
 * COUNT orphans been reaped (fewer than asked for when fork fails). Or, after CAP_S,
 * "L NANOSECONDS LEFT": so many had not. Then it waits to be killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CAP_S = 10 };

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void nap_us(long us)
{
    struct timespec t = {0, us * 1000};
    nanosleep(&t, NULL);
}

static pid_t fork_patiently(void)
{
    pid_t pid;
    for (int tries = 0; (pid = fork()) < 0 && errno == EAGAIN && tries < 5000; tries++)
        nap_us(1000);
    return pid;
}

/* What the processes share: memory that fork does not copy. */
static volatile struct {
    long long dead_ns; /* when the last orphan died; 0: not yet */
    int made;
    pid_t pids[];
} *shared;

/* Orphans before this one are known to be reaped. */
static int gone;

static void look_on(void)
{
    while (gone < shared->made && kill(shared->pids[gone], 0) != 0)
        gone++;
}

static void make_at_once(int count, const int *gate)
{
    pid_t mother = fork();
    if (mother == 0) {
        for (; shared->made < count; shared->made++) {
            pid_t pid = fork();
            if (pid == 0) {
                char byte;
                close(gate[1]);
                _exit(read(gate[0], &byte, 1) != 0);
            }
            if (pid < 0)
                break;
            shared->pids[shared->made] = pid;
        }
        _exit(0);
    }
    waitpid(mother, NULL, 0);
}

static void make_one_by_one(int count)
{
    for (; shared->made < count; shared->made++, look_on()) {
        pid_t mother = fork_patiently();
        if (mother == 0) {
            pid_t pid = fork_patiently();
            if (pid > 0)
                shared->pids[shared->made] = pid;
            _exit(0);
        }
        if (mother < 0)
            break;
        waitpid(mother, NULL, 0);
    }
}

int main(int argc, char **argv)
{
    char mode, byte;
    int count;
    if (argc < 2 || sscanf(argv[1], "%c%d", &mode, &count) != 2 || !strchr(argv[1], ':'))
        return 101;
    const char *file = strchr(argv[1], ':') + 1;
    shared = mmap(NULL, sizeof *shared + count * sizeof(pid_t), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int gate[2], alive[2]; /* orphans wait for the end of the first, and hold the second open */
    if (shared == MAP_FAILED || pipe(gate) || pipe(alive))
        return 102;
    if (fork() == 0) { /* sleeps until the last holder of `alive` is dead */
        close(gate[1]);
        close(alive[1]);
        while (read(alive[0], &byte, 1) != 0)
            ;
        shared->dead_ns = now_ns();
        _exit(0);
    }
    if (mode == 'b')
        make_at_once(count, gate);
    else
        make_one_by_one(count);
    close(alive[1]);
    close(gate[1]);
    long long until = now_ns() + CAP_S * 1000000000LL;
    while (look_on(), gone < shared->made && now_ns() < until)
        nap_us(50);
    long long seen_ns = now_ns();
    while (!shared->dead_ns)
        nap_us(50);
    long long lag_ns = seen_ns > shared->dead_ns ? seen_ns - shared->dead_ns : 0;
    int left = 0;
    for (; gone < shared->made; gone++)
        left += kill(shared->pids[gone], 0) == 0;

    char line[64];
    int length = sprintf(line, "%c %lld %d\n", left ? 'L' : 'G', lag_ns, left ? left : shared->made);
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (fd < 0 || write(fd, line, length) != length)
        return 103;
    for (;;)
        pause();
}
