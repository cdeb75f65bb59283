/* Starting one command: with vfork, so that it does not take longer for how large we are; and,
 * where nothing about it is in question, before Python, which takes longer than all of the rest.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"

#define UP_TO_31 0x7fffffffULL

pid_t initpy_started;

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

/* The circumstances with which initpy.single and initpy.dropin do more than this file. */
static int is_special(void)
{
    if (isatty(STDIN_FILENO) || errno != ENOTTY) /* a terminal, or closed */
        return 1;
    struct sigaction action;
    return sigaction(SIGCHLD, NULL, &action) < 0 || action.sa_handler == SIG_IGN;
}

void initpy_start_command(int argc, char **argv, const sigset_t *inherited_mask)
{
    if (argc < 2 || is_special())
        return;
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash == NULL ? argv[0] : slash + 1;
    int has_dashes = is(argv[1], "--");
    char **command = argv + 1 + has_dashes;
    int is_first = getpid() == 1;
    sigset_t none;
    sigemptyset(&none);
    const sigset_t *mask = inherited_mask;
    enum place place = OWN_SESSION;
    unsigned long long defaults = 0;

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
    } else {
        if (!has_dashes)
            return;
        if (command[0] != NULL && !is_first &&
            prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL) < 0)
            return;
    }
    if (command[0] != NULL)
        initpy_started = initpy_spawn(command, place, mask, defaults);
}
