/* Starting one command. Without Python's headers. */

#include <signal.h>
#include <sys/types.h>

enum place { OUR_GROUP, OWN_SESSION, OWN_GROUP }; /* as in initpy.linux.native */

/* Start a command. `defaults` has the bit 1 << n - 1 for each signal n that is not ignored any
 * more. Returns the pid, or 0: it cannot be executed, and nothing of it is left. */
pid_t initpy_spawn(char **command, enum place place, const sigset_t *mask,
                   unsigned long long defaults);

/* Start the command that the arguments name, if initpy.cli would start it at once, with nothing to
 * say or to do before that but what is done here. If it cannot be executed, nothing has happened,
 * and initpy.single, which tries it again, has the words for it. */
void initpy_start_command(int argc, char **argv, const sigset_t *inherited_mask);

extern pid_t initpy_started; /* the pid of the command that has been started so, or 0 */
