/* What main.c, module.c, spawn.c and interpreter.c share. */

#include <signal.h>

extern sigset_t initpy_inherited_mask; /* blocked signals, as they were at exec */
extern char **initpy_argv_end;         /* where the arguments of main have their NULL */

/* Initialise the second half of the interpreter, if that is yet to be done. 0, or -1 with an
 * exception set. */
int initpy_complete(void);

/* Methods of _initpy that are not in module.c. */
extern const char initpy_start_doc[];
PyObject *initpy_start(PyObject *self, PyObject *args);

/* Give back the memory that starts have taken, as far as it is not needed any more. */
void initpy_release(void);

PyObject *PyInit__initpy(void);
PyObject *PyInit_resource(void);
