/* What is started before Python. Without Python's headers. */

#include <signal.h>
#include <sys/types.h>

enum place { OUR_GROUP, OWN_SESSION, OWN_GROUP }; /* as in initpy.linux.native */

/* Start a command with vfork, so that it does not take longer for how large we are. `defaults` has
 * the bit 1 << n - 1 for each signal n that is not ignored any more. Returns the pid, or 0: it
 * cannot be executed, and nothing of it is left. */
pid_t initpy_spawn(char **command, enum place place, const sigset_t *mask,
                   unsigned long long defaults);

/* Start the command that the arguments name, if initpy.cli would start it at once, with nothing to
 * say or to do before that but what is done here; or the config helper, if there will be one. All
 * signals are blocked. Returns twice if the helper has been started. */
void initpy_start_first(int argc, char **argv, const sigset_t *inherited_mask);

extern pid_t initpy_started;    /* the command's pid, or 0 */
extern pid_t initpy_helper_pid; /* the helper's, or 0: this is the helper, or there is none */
extern int initpy_helper_fd;    /* this side's end of its pipe; -1: there is none */
