/* A program of the scenario: probe NAME JOURNAL [child]. It appends "NAME start PID" and, when it is
 * asked to stop, "NAME stop PID" to the journal; each line in one write, so that they do not mix.
 * With a third word it leaves a child in its process group, which would outlive a crash.
 */

#define _GNU_SOURCE

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void note(int fd, const char *name, const char *what)
{
    char line[200];
    int length = snprintf(line, sizeof line, "%s %s %d\n", name, what, (int)getpid());
    if (write(fd, line, length) != length)
        _exit(99);
}

int main(int argc, char **argv)
{
    sigset_t stop;
    int signum;
    if (argc < 3)
        return 98;
    int fd = open(argv[2], O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return 97;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (argc > 3 && fork() == 0) {
        note(fd, argv[1], "child");
        sigwait(&stop, &signum);
        _exit(0);
    }
    printf("%s is here\n", argv[1]);
    fflush(stdout);
    note(fd, argv[1], "start");
    sigwait(&stop, &signum);
    note(fd, argv[1], "stop");
    return 0;
}
