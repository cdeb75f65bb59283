/* Parts of libpython3.11.a that are linked from here instead: which modules are built in, which
 * are frozen, and how sys.path and extension modules are found (not at all). */

#include <Python.h>

#include "frozen.c" /* made by freeze.py: BUILT_IN(…), modules[] */
#include "initpy.h"

struct _module_alias {
    const char *name;
    const char *orig;
};

static const struct _frozen none[] = {{0}};
static const struct _module_alias aliases[] = {
    {"_frozen_importlib", "importlib._bootstrap"},
    {"_frozen_importlib_external", "importlib._bootstrap_external"},
    {0},
};

const struct _frozen *PyImport_FrozenModules = none;
const struct _frozen *_PyImport_FrozenBootstrap = modules;
const struct _frozen *_PyImport_FrozenStdlib = none;
const struct _frozen *_PyImport_FrozenTest = none;
const struct _module_alias *_PyImport_FrozenAliases = aliases;

/* CPython's own frozen modules are objects in writable memory, touched at every start: 0.4 MB that
 * would be PID 1's. Ours are bytes. */
int _Py_Deepfreeze_Init(void)
{
    return 0;
}

void _Py_Deepfreeze_Fini(void)
{
}

extern PyObject *PyInit__imp(void);
extern PyObject *PyMarshal_Init(void);
extern PyObject *PyInit_gc(void);
extern PyObject *_PyWarnings_Init(void);
extern PyObject *PyInit__string(void);
#define BUILT_IN(name) extern PyObject *PyInit_##name(void);
BUILT_INS
#undef BUILT_IN

#define BUILT_IN(name) {#name, PyInit_##name},
struct _inittab _PyImport_Inittab[] = {
    {"marshal", PyMarshal_Init},
    {"_imp", PyInit__imp},
    {"builtins", NULL},
    {"sys", NULL},
    {"gc", PyInit_gc},
    {"_warnings", _PyWarnings_Init},
    {"_string", PyInit__string},
    {"_initpy", PyInit__initpy},
    {"resource", PyInit_resource},
    BUILT_INS
    {NULL, NULL},
};

/* The paths would be derived from files around the executable. There are none of ours. */
PyStatus _PyConfig_InitPathConfig(PyConfig *config, int compute_path_config)
{
    (void)config, (void)compute_path_config;
    return PyStatus_Ok();
}

/* No extension module is ever loaded, so that dlopen is not linked. */
const char *_PyImport_DynLoadFiletab[] = {NULL};

void *_PyImport_FindSharedFuncptr(const char *prefix, const char *shortname, const char *pathname,
                                  FILE *file)
{
    (void)prefix, (void)shortname, (void)pathname, (void)file;
    PyErr_SetString(PyExc_ImportError, "this executable is static");
    return NULL;
}
