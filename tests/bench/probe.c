/* A program that says when it is born and when it is told to end: tests/bench starts it under every
 * init.
 *
 * It has no C library, whose own start (relocations, CPUID, which traps in virtual machines) would
 * cost more than the fastest of the inits. argv[1] is MODE:FILE; to FILE it appends lines
 * "KIND NANOSECONDS PID", with CLOCK_MONOTONIC.
 *
 *   w:FILE         S at birth; waits for TERM, says T, exits with 0
 *   s:FILE         S at birth; T for each USR1; exits with 0 on TERM
 *   x:FILE         S at birth; exits with 0 at once
 *   k<MS>:FILE     S at birth; after MS milliseconds K, and kills itself
 *   e:FILE CMD...  E, and becomes CMD, whose argv[0] is a path: the starting gun
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n bl begin\n");
#else
#error "no system calls for this kind of machine yet"
#endif

static struct timespec now(void)
{
    struct timespec t;
    call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0, 0);
    return t;
}

static char *digits(char *end, unsigned long value)
{
    do
        *--end = '0' + value % 10;
    while (value /= 10);
    return end;
}

static void say(const char *file, char kind, struct timespec t)
{
    char line[64], *end = line + sizeof line, *at = end;
    *--at = '\n';
    at = digits(at, call(SYS_getpid, 0, 0, 0, 0));
    *--at = ' ';
    at = digits(at, t.tv_sec * 1000000000UL + t.tv_nsec);
    *--at = ' ';
    *--at = kind;
    long fd = call(SYS_openat, AT_FDCWD, (long)file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        call(SYS_exit_group, 100, 0, 0, 0);
    call(SYS_write, fd, (long)at, end - at, 0);
    call(SYS_close, fd, 0, 0, 0);
}

__attribute__((used)) void begin(long *stack)
{
    struct timespec born = now();
    char **argv = (char **)(stack + 1), **envp = argv + stack[0] + 1;
    char *at = stack[0] > 1 ? argv[1] : "";
    char mode = *at;
    unsigned long term = 1UL << (SIGTERM - 1), ms = 0;
    unsigned long both = term | 1UL << (SIGUSR1 - 1);
    for (; *at && *at != ':'; at++)
        if (*at >= '0' && *at <= '9')
            ms = ms * 10 + (*at - '0');
    if (!*at)
        call(SYS_exit_group, 101, 0, 0, 0);
    char *file = at + 1;

    if (mode == 'e') {
        say(file, 'E', now());
        call(SYS_execve, (long)argv[2], (long)(argv + 2), (long)envp, 0);
        call(SYS_exit_group, 102, 0, 0, 0);
    }
    if (mode == 'w')
        call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&term, 0, sizeof term);
    if (mode == 's')
        call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&both, 0, sizeof both);
    say(file, 'S', born);
    if (mode == 'w') {
        while (call(SYS_rt_sigtimedwait, (long)&term, 0, 0, sizeof term) != SIGTERM)
            ;
        say(file, 'T', now());
    } else if (mode == 's') {
        long got;
        while ((got = call(SYS_rt_sigtimedwait, (long)&both, 0, 0, sizeof both)) != SIGTERM)
            if (got == SIGUSR1)
                say(file, 'T', now());
    } else if (mode == 'k') {
        struct timespec nap = {ms / 1000, ms % 1000 * 1000000};
        call(SYS_nanosleep, (long)&nap, 0, 0, 0);
        say(file, 'K', now());
        call(SYS_kill, call(SYS_getpid, 0, 0, 0, 0), SIGKILL, 0, 0);
    }
    call(SYS_exit_group, 0, 0, 0, 0);
}
