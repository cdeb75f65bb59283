/* The child that becomes a program, in our memory until exec. It runs at the same time as we do,
 * with the same thread-local storage and the same locks: it must call nothing of the C library, not
 * even what sets errno. So it makes its syscalls itself, and writes to nothing but its stack.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"

/* As in initpy.linux.spawn. */
enum step {
    PREPARE,
    NO_NEW_PRIVS,
    OOM_SCORE_ADJ,
    RLIMIT,
    NICE,
    SETGID,
    SETUID,
    CHDIR,
    TO_EXEC,
    EXEC,
};
enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127, MAX_TEXT_BYTES = 1800 };

enum { SIGNALS = 64 };

/* What comes through the pipe, unless it is the words themselves, which begin with no 0. */
struct reason {
    int64_t no_words, step, error, values[3];
    char text[MAX_TEXT_BYTES];
};

#if defined(__x86_64__)

static inline long call(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

static inline long call(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}

#else /* spawn.c starts nothing there */

static inline long call(long number, long a, long b, long c, long d)
{
    (void)number, (void)a, (void)b, (void)c, (void)d;
    return -ENOSYS;
}

#endif

static __attribute__((noreturn)) void leave(int code)
{
    for (;;)
        call(SYS_exit_group, code, 0, 0, 0);
}

/* Tell why it was refused, and end. */
static __attribute__((noreturn)) void refuse(const struct start *start, enum step step, long result,
                                             const int64_t *values, const char *text, int code)
{
    struct reason reason;
    size_t length = 0;
    reason.no_words = 0;
    reason.step = step;
    reason.error = -result;
    for (int i = 0; i < 3; i++)
        reason.values[i] = values == NULL ? 0 : values[i];
    for (; length < sizeof reason.text && text[length] != '\0'; length++)
        reason.text[length] = text[length];
    call(SYS_write, start->reason_fd, (long)&reason, (long)(reason.text + length - (char *)&reason),
         0);
    leave(code);
}

/* A step that has no more to be said of it than one number. */
static void check(const struct start *start, enum step step, long result, int64_t value)
{
    const int64_t values[3] = {value, 0, 0};
    if (result < 0)
        refuse(start, step, result, values, step == CHDIR ? start->directory : start->name,
               NOT_EXECUTABLE);
}

static void restore_signals(const struct start *start)
{
    for (int signum = 1; signum <= SIGNALS; signum++) {
        unsigned long long bit = 1ULL << (signum - 1);
        /* The kernel's struct sigaction: whatever the machine, the handler is its first word. */
        const unsigned long action[8] = {(unsigned long)(start->ignored & bit ? SIG_IGN : SIG_DFL)};
        if (start->handled & bit)
            check(start, PREPARE,
                  call(SYS_rt_sigaction, signum, (long)action, 0, sizeof(uint64_t)), 0);
    }
}

static void duplicate(const struct start *start, int to)
{
    int from = start->fds[to];
    if (from != to)
        check(start, PREPARE, call(SYS_dup3, from, to, 0, 0), 0);
}

static long set_limit(const struct limit *limit)
{
    return call(SYS_prlimit64, 0, limit->number, (long)limit->values, 0);
}

static long look_at(const char *path, struct stat *found)
{
    return call(SYS_newfstatat, AT_FDCWD, (long)path, (long)found, 0);
}

/* As initpy.linux.spawn's _exec. */
static __attribute__((noreturn)) void execute(const struct start *start)
{
    struct stat found;
    const char *path = start->argv[0];
    long why = -ENOENT;
    for (char **next = start->paths; *next != NULL; next++) {
        long result = call(SYS_execve, (long)*next, (long)start->argv, (long)start->envp, 0);
        int is_missing = result == -ENOENT || result == -ENOTDIR;
        if ((is_missing || result == -EACCES) && look_at(*next, &found) < 0)
            continue;
        path = *next;
        why = result;
        if (result != -EACCES)
            break;
    }
    int64_t values[3] = {-1, 0, 0};
    if (look_at(path, &found) == 0)
        values[0] = found.st_mode;
    int is_missing = why == -ENOENT || why == -ENOTDIR;
    refuse(start, EXEC, why, values, path, is_missing ? NOT_FOUND : NOT_EXECUTABLE);
}

/* In the order of initpy.linux.spawn's _become. */
int initpy_become(void *argument)
{
    const struct start *start = argument;
    duplicate(start, STDOUT_FILENO);
    duplicate(start, STDERR_FILENO);
    restore_signals(start);
    check(start, PREPARE, call(SYS_setsid, 0, 0, 0, 0), 0);
    duplicate(start, STDIN_FILENO);
    for (int i = 0; i < start->ours_count; i++)
        check(start, PREPARE, set_limit(&start->ours[i]), 0);
    if (start->no_new_privs)
        check(start, NO_NEW_PRIVS, call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0), 0);
    for (int i = 0; i < start->limits_count; i++) {
        const struct limit *limit = &start->limits[i];
        const int64_t values[3] = {limit->number, (int64_t)limit->values[0],
                                   (int64_t)limit->values[1]};
        long result = set_limit(limit);
        if (result < 0)
            refuse(start, RLIMIT, result, values, "", NOT_EXECUTABLE);
    }
    if (start->is_nice)
        check(start, NICE, call(SYS_setpriority, PRIO_PROCESS, 0, start->nice, 0), start->nice);
    if (start->directory[0] != '\0')
        check(start, CHDIR, call(SYS_chdir, (long)start->directory, 0, 0, 0), 0);
    if (start->umask != -1)
        call(SYS_umask, start->umask, 0, 0, 0);
    check(start, TO_EXEC,
          call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&start->mask, 0, sizeof start->mask), 0);
    execute(start);
}
