/* What main.c, module.c and interpreter.c share. */

#include <signal.h>

extern sigset_t initpy_inherited_mask; /* blocked signals, as they were at exec */
extern char **initpy_argv_end;         /* where the arguments of main have their NULL */

/* Initialise the second half of the interpreter, if that is yet to be done. 0, or -1 with an
 * exception set. */
int initpy_complete(void);

PyObject *PyInit__initpy(void);
PyObject *PyInit_resource(void);
