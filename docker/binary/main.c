/* The static executable: CPython with initpy in it.
 *
 * Python is started half way only: the core, which can import what is built in and frozen, and
 * nothing that would look for files, or for a locale. That is all that PID 1 needs; who wants the
 * rest (open, print, encodings by name) calls _initpy.complete(). It takes half of the time and of
 * the memory.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <signal.h>

#include "first.h"
#include "initpy.h"

extern int _PySignal_Init(int install_signal_handlers); /* CPython's, in no header for embedders */

sigset_t initpy_inherited_mask;
char **initpy_argv_end;

static void block_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &initpy_inherited_mask);
}

/* Before main, before even the C library's own constructors: what comes until then is lost. */
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = block_signals;

static void check(PyStatus status)
{
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
}

/* Nothing comes from the environment or a file, nothing of the process is changed: no handlers are
 * installed, PIPE and XFSZ are not ignored, the locale stays C's. Text is UTF-8 whatever happens. */
static void start_core(int argc, char **argv)
{
    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    check(Py_PreInitialize(&before));

    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    config.site_import = 0;
    config.write_bytecode = 0;
    config.code_debug_ranges = 0;
    config.optimization_level = 2;
    config.module_search_paths_set = 1;
    config._init_main = 0;
    check(PyConfig_SetBytesArgv(&config, argc, argv));
    check(PyConfig_SetString(&config, &config.executable, config.argv.items[0]));
    check(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
    if (_PySignal_Init(0) < 0)
        Py_FatalError("cannot initialise signals");
}

/* sys.argv and others are set in the second half; what initpy wants of them comes here. */
static int fill_sys(int argc, char **argv)
{
    PyObject *arguments = PyList_New(argc);
    if (arguments == NULL)
        return -1;
    for (int i = 0; i < argc; i++) {
        PyObject *argument = PyUnicode_DecodeFSDefault(argv[i]);
        if (argument == NULL)
            return -1;
        PyList_SET_ITEM(arguments, i, argument);
    }
    PyObject *original = PyList_GetSlice(arguments, 0, argc);
    PyObject *none = PyList_New(0);
    if (original == NULL || none == NULL)
        return -1;
    /* Without warnoptions, the warnings module cannot be imported. */
    int failed = PySys_SetObject("argv", arguments) || PySys_SetObject("orig_argv", original) ||
                 PySys_SetObject("executable", PyList_GET_ITEM(arguments, 0)) ||
                 PySys_SetObject("warnoptions", none);
    Py_DECREF(arguments);
    Py_DECREF(original);
    Py_DECREF(none);
    return failed ? -1 : 0;
}

int main(int argc, char **argv)
{
    char *nameless[] = {"initpy", NULL};
    if (argc == 0) { /* Linux before 5.18 allows it */
        argc = 1;
        argv = nameless;
    }
    initpy_argv_end = argv + argc;
    initpy_start_first(argc, argv, &initpy_inherited_mask);
    start_core(argc, argv);
    PyObject *cli = NULL;
    if (fill_sys(argc, argv) == 0)
        cli = PyImport_ImportModule("initpy.cli");
    if (cli != NULL)
        PyObject_CallMethod(cli, "main", NULL);
    /* It ends the process, or raises SystemExit. */
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    initpy_complete(); /* for a traceback, and to flush stdout */
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    PyErr_Print(); /* SystemExit ends here */
    return 1;
}
