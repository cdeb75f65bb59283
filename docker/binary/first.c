/* What is started before Python, which takes longer to start than all of the rest: one command,
 * where nothing about it is in question; or the config helper, which then starts its own Python
 * while PID 1 does.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "first.h"

#define UP_TO_31 0x7fffffffULL

pid_t initpy_started, initpy_helper_pid;
int initpy_helper_fd = -1;

pid_t initpy_spawn(char **command, enum place place, const sigset_t *mask,
                   unsigned long long defaults)
{
    volatile int has_failed = 0; /* the child has our memory until exec, but not our signals */
    pid_t pid = vfork();
    if (pid == 0) {
        int failed = 0;
        if (place == OWN_SESSION)
            failed = setsid() < 0;
        else if (place == OWN_GROUP)
            failed = setpgid(0, 0) < 0;
        for (int signum = 1; signum <= 64; signum++)
            if (defaults >> (signum - 1) & 1)
                signal(signum, SIG_DFL);
        sigprocmask(SIG_SETMASK, mask, NULL);
        if (!failed)
            execvp(command[0], command);
        has_failed = 1;
        _exit(1);
    }
    if (pid > 0 && has_failed) {
        waitpid(pid, NULL, 0);
        pid = 0;
    }
    return pid < 0 ? 0 : pid;
}

static int is(const char *text, const char *other)
{
    return strcmp(text, other) == 0;
}

/* The kernel itself would then reap what we start. */
static int ignores_chld(void)
{
    struct sigaction action;
    return sigaction(SIGCHLD, NULL, &action) < 0 || action.sa_handler == SIG_IGN;
}

/* As initpy.cli does it, with whatever initpy.dropin and initpy.single do before they start the
 * command; or not at all. If it cannot be executed, nothing has happened: they will try again, and
 * have the words for it. */
static void start_command(char **argv, const char *name, const sigset_t *inherited_mask)
{
    int has_dashes = is(argv[1], "--");
    char **command = argv + 1 + has_dashes;
    int is_first = getpid() == 1;
    sigset_t none;
    sigemptyset(&none);
    const sigset_t *mask = inherited_mask;
    enum place place = OWN_SESSION;
    unsigned long long defaults = 0;

    if (command[0] == NULL)
        return;
    if (isatty(STDIN_FILENO) || errno != ENOTTY) /* a terminal to hand over, or closed */
        return;
    if (is(name, "tini") || is(name, "docker-init")) {
        int is_subreaper = 0;
        if (!has_dashes || getenv("TINI_SUBREAPER") || getenv("TINI_VERBOSITY"))
            return;
        if (!is_first && (prctl(PR_GET_CHILD_SUBREAPER, &is_subreaper, 0UL, 0UL, 0UL) < 0 ||
                          !is_subreaper)) /* there is a warning that comes first */
            return;
        place = OWN_GROUP;
    } else if (is(name, "dumb-init")) {
        if (!has_dashes && argv[1][0] == '-')
            return;
        if (getenv("DUMB_INIT_DEBUG") || getenv("DUMB_INIT_SETSID"))
            return;
        mask = &none;
        defaults = UP_TO_31;
    } else if (!has_dashes ||
               (!is_first && prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL) < 0)) {
        return;
    }
    initpy_started = initpy_spawn(command, place, mask, defaults);
    /* The kernel tends to run us, whom exec has woken, before the command, for milliseconds. */
    const struct timespec moment = {.tv_nsec = 300000};
    if (initpy_started != 0)
        nanosleep(&moment, NULL);
}

/* For `initpy` and `initpy -c FILE`, unless there is a state to take over, or numbers below 3 that
 * the pipe would get. */
static void start_helper(int argc, char **argv)
{
    int names_file = argc == 3 && (is(argv[1], "-c") || is(argv[1], "--config"));
    if ((argc != 1 && !names_file) || getenv("INITPY_HANDOVER"))
        return;
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    pid_t pid = fork();
    if (pid == 0)
        setsid(); /* a Ctrl-C reaches PID 1 alone */
    close(ends[pid == 0 ? 0 : 1]);
    if (pid < 0) {
        close(ends[0]);
        return;
    }
    initpy_helper_pid = pid;
    initpy_helper_fd = ends[pid == 0 ? 1 : 0];
}

void initpy_start_first(int argc, char **argv, const sigset_t *inherited_mask)
{
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash == NULL ? argv[0] : slash + 1;
    int is_another = is(name, "tini") || is(name, "docker-init") || is(name, "dumb-init");

    if (ignores_chld())
        return;
    if (argc >= 2)
        start_command(argv, name, inherited_mask);
    if (!is_another && initpy_started == 0)
        start_helper(argc, argv);
}
