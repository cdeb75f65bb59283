/* The child that becomes a program, in our memory until exec. Without Python's headers. */

#include <signal.h>
#include <stdint.h>

struct limit {
    int number;
    uint64_t values[2]; /* soft and hard, as the kernel takes them */
};

/* What a child is told, in its block. */
struct start {
    const char *name, *directory;
    char **argv, **paths, **envp;
    int fds[3], reason_fd;
    const struct limit *ours, *limits; /* what we have changed for ourselves; the program's */
    int ours_count, limits_count;
    int umask; /* -1: ours */
    int is_nice, nice;
    int no_new_privs;
    unsigned long long handled, ignored, mask; /* sets of signals: 1 << n - 1 for n */
};

/* The child's life, on a stack of its own, with all signals blocked; does not return. Its argument
 * is a struct start. */
int initpy_become(void *argument);
