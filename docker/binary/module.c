/* Two modules in C: `_initpy`, what PID 1 wants of Linux and Python does not offer; and as much of
 * `resource`, which is not in CPython's static library, as initpy and posix.wait4 use. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "first.h"
#include "initpy.h"

/* ------------------------------------------------------------ _initpy */

int initpy_complete(void)
{
    static int is_complete;
    if (is_complete)
        return 0;
    PyStatus status = _Py_InitializeMain();
    if (PyStatus_Exception(status)) {
        PyErr_Format(PyExc_RuntimeError, "cannot complete Python: %s", status.err_msg);
        return -1;
    }
    is_complete = 1;
    return 0;
}

PyDoc_STRVAR(complete_doc,
             "complete()\n\nInitialise the second half of the interpreter: open, print, sys.stdout "
             "and\nencodings by their names. Once; later calls do nothing.");

static PyObject *complete(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none))
{
    if (initpy_complete() < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(prctl_doc, "prctl(option, argument)\n\nprctl(2), for options with one number.");

static PyObject *call_prctl(PyObject *Py_UNUSED(self), PyObject *args)
{
    int option;
    unsigned long argument;
    if (!PyArg_ParseTuple(args, "ik:prctl", &option, &argument))
        return NULL;
    int result = prctl(option, argument, 0UL, 0UL, 0UL);
    if (result < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromLong(result);
}

PyDoc_STRVAR(pass_on_doc,
             "pass_on(pid, signals)\n\nWait for signals, all of which are blocked, and send those of "
             "the set `signals` (the\nbit 1 << n - 1 for n) to `pid`. Returns the number and the "
             "si_code of the first that\nis not in the set, or could not be sent.");

static PyObject *pass_on(PyObject *Py_UNUSED(self), PyObject *args)
{
    int pid;
    unsigned long long signals;
    if (!PyArg_ParseTuple(args, "iK:pass_on", &pid, &signals))
        return NULL;
    sigset_t all;
    sigfillset(&all);
    for (;;) {
        siginfo_t info;
        int signum = sigwaitinfo(&all, &info);
        if (signum < 0) /* EINTR: we have been stopped, and go on */
            continue;
        if (!(signals >> (signum - 1) & 1) || kill(pid, signum) < 0)
            return Py_BuildValue("ii", signum, info.si_code);
    }
}

PyDoc_STRVAR(spawn_doc,
             "spawn(words, place, mask, defaults)\n\nStart the command that our last arguments are, so "
             "many words. place: 0 in our\nprocess group, 1 leading a session, 2 leading a process "
             "group. mask and defaults are\nsets as in pass_on: what is blocked in it, and what is not "
             "ignored any more. Returns\nthe pid, or 0 when it cannot be executed.");

static PyObject *spawn(PyObject *Py_UNUSED(self), PyObject *args)
{
    int words, place;
    unsigned long long mask_bits, defaults;
    if (!PyArg_ParseTuple(args, "iiKK:spawn", &words, &place, &mask_bits, &defaults))
        return NULL;
    sigset_t mask;
    sigemptyset(&mask);
    for (int signum = 1; signum <= 64; signum++)
        if (mask_bits >> (signum - 1) & 1)
            sigaddset(&mask, signum);
    return PyLong_FromLong(initpy_spawn(initpy_argv_end - words, place, &mask, defaults));
}

PyDoc_STRVAR(drop_pages_doc,
             "drop_pages()\n\nGive back the pages of the executable's own file, code and constants. "
             "Those that are\nused again come back, from the page cache.");

static PyObject *drop_pages(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none))
{
    const ElfW(Phdr) *segment = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    const unsigned long page = getauxval(AT_PAGESZ);
    for (unsigned long left = getauxval(AT_PHNUM); segment != NULL && left > 0; left--, segment++) {
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
            continue;
        unsigned long start = segment->p_vaddr & -page;
        unsigned long end = (segment->p_vaddr + segment->p_memsz + page - 1) & -page;
        madvise((void *)start, end - start, MADV_DONTNEED); /* or they stay: no harm */
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(is_subreaper_doc,
             "is_subreaper()\n\nWhether orphaned descendants are handed to this process.");

static PyObject *is_subreaper(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none))
{
    int flag = 0;
    if (prctl(PR_GET_CHILD_SUBREAPER, &flag, 0UL, 0UL, 0UL) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyBool_FromLong(flag);
}

static void on_fault(int signum, siginfo_t *info, void *Py_UNUSED(context))
{
    if (info->si_code > 0) {
        signal(signum, SIG_DFL); /* the instruction is run again, and this time it ends us */
    } else {
        int saved = errno; /* whoever was interrupted may be about to read it */
        PyErr_SetInterruptEx(signum);
        errno = saved;
    }
}

PyDoc_STRVAR(handle_sent_doc,
             "handle_sent(signum)\n\nCall the handler that signal.signal has set for SEGV, ILL, FPE "
             "or BUS only when\nsomebody sends it; one that the kernel raises keeps its default "
             "action.");

static PyObject *handle_sent(PyObject *Py_UNUSED(self), PyObject *args)
{
    int signum;
    if (!PyArg_ParseTuple(args, "i:handle_sent", &signum))
        return NULL;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigfillset(&action.sa_mask);
    if (sigaction(signum, &action, NULL) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(map_file_doc,
             "map_file(fd, length, offset)\n\nA part of a file, shared, as a memoryview that may be "
             "written\nto. It stays mapped.");

static PyObject *map_file(PyObject *Py_UNUSED(self), PyObject *args)
{
    int fd;
    Py_ssize_t length;
    long long offset;
    if (!PyArg_ParseTuple(args, "inL:map_file", &fd, &length, &offset))
        return NULL;
    if (length <= 0) {
        PyErr_SetString(PyExc_ValueError, "nothing to map");
        return NULL;
    }
    void *begin = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (begin == MAP_FAILED)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyMemoryView_FromMemory(begin, length, PyBUF_WRITE);
}

PyDoc_STRVAR(release_doc,
             "release()\n\nGive back the memory that starts have taken, as far as it is not needed "
             "any more.");

static PyObject *release(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none))
{
    initpy_release();
    Py_RETURN_NONE;
}

static PyMethodDef initpy_methods[] = {
    {"complete", complete, METH_NOARGS, complete_doc},
    {"prctl", call_prctl, METH_VARARGS, prctl_doc},
    {"drop_pages", drop_pages, METH_NOARGS, drop_pages_doc},
    {"is_subreaper", is_subreaper, METH_NOARGS, is_subreaper_doc},
    {"pass_on", pass_on, METH_VARARGS, pass_on_doc},
    {"spawn", spawn, METH_VARARGS, spawn_doc},
    {"start", initpy_start, METH_VARARGS, initpy_start_doc},
    {"release", release, METH_NOARGS, release_doc},
    {"handle_sent", handle_sent, METH_VARARGS, handle_sent_doc},
    {"map_file", map_file, METH_VARARGS, map_file_doc},
    {NULL, NULL, 0, NULL},
};

static PyObject *mask_as_tuple(const sigset_t *mask)
{
    PyObject *signals = PyList_New(0);
    for (int signum = 1; signals != NULL && signum <= SIGRTMAX; signum++) {
        if (sigismember(mask, signum) != 1)
            continue;
        PyObject *number = PyLong_FromLong(signum);
        if (number == NULL || PyList_Append(signals, number) < 0)
            Py_CLEAR(signals);
        Py_XDECREF(number);
    }
    PyObject *result = signals == NULL ? NULL : PyList_AsTuple(signals);
    Py_XDECREF(signals);
    return result;
}

static int initpy_exec(PyObject *module)
{
    PyObject *mask = mask_as_tuple(&initpy_inherited_mask);
    int failed = PyModule_AddObjectRef(module, "inherited_mask", mask);
    Py_XDECREF(mask);
    failed |= PyModule_AddIntConstant(module, "started", initpy_started);
    failed |= PyModule_AddIntConstant(module, "helper_pid", initpy_helper_pid);
    failed |= PyModule_AddIntConstant(module, "helper_fd", initpy_helper_fd);
    return failed < 0 ? -1 : 0;
}

static PyModuleDef_Slot initpy_slots[] = {{Py_mod_exec, initpy_exec}, {0, NULL}};

static PyModuleDef initpy_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_initpy",
    .m_doc = "What initpy's static executable has and Python lacks. `inherited_mask` is the signals\n"
             "that were blocked at exec, and what main has started before Python:\n"
             "`started` is the pid of the command, or 0; `helper_fd` the config helper's pipe, or\n"
             "-1, and `helper_pid` its pid, or 0: this is the helper.",
    .m_methods = initpy_methods,
    .m_slots = initpy_slots,
};

PyObject *PyInit__initpy(void)
{
    return PyModuleDef_Init(&initpy_module);
}

/* ------------------------------------------------------------ resource */

static PyObject *limits_as_tuple(const struct rlimit *limits)
{
    /* RLIM_INFINITY is -1, as in CPython */
    return Py_BuildValue("LL", (long long)limits->rlim_cur, (long long)limits->rlim_max);
}

static int limits_from_object(PyObject *object, struct rlimit *limits)
{
    PyObject *pair = PySequence_Tuple(object);
    if (pair == NULL)
        return -1;
    long long soft, hard;
    int is_good = PyArg_ParseTuple(pair, "LL;expected two numbers", &soft, &hard);
    Py_DECREF(pair);
    if (!is_good)
        return -1;
    limits->rlim_cur = (rlim_t)soft;
    limits->rlim_max = (rlim_t)hard;
    return 0;
}

/* As CPython: EINVAL is a ValueError. */
static PyObject *limit_error(void)
{
    if (errno == EINVAL) {
        PyErr_SetString(PyExc_ValueError, "current limit exceeds maximum limit");
        return NULL;
    }
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *call_prlimit(PyObject *Py_UNUSED(self), PyObject *args)
{
    int pid, number;
    PyObject *object = NULL;
    if (!PyArg_ParseTuple(args, "ii|O:prlimit", &pid, &number, &object))
        return NULL;
    struct rlimit new, old;
    if (object != NULL && limits_from_object(object, &new) < 0)
        return NULL;
    if (prlimit(pid, number, object == NULL ? NULL : &new, &old) < 0)
        return limit_error();
    return limits_as_tuple(&old);
}

static PyObject *call_getrlimit(PyObject *Py_UNUSED(self), PyObject *args)
{
    int number;
    struct rlimit limits;
    if (!PyArg_ParseTuple(args, "i:getrlimit", &number))
        return NULL;
    if (getrlimit(number, &limits) < 0)
        return limit_error();
    return limits_as_tuple(&limits);
}

static PyObject *call_setrlimit(PyObject *Py_UNUSED(self), PyObject *args)
{
    int number;
    PyObject *object;
    struct rlimit limits;
    if (!PyArg_ParseTuple(args, "iO:setrlimit", &number, &object))
        return NULL;
    if (limits_from_object(object, &limits) < 0)
        return NULL;
    if (setrlimit(number, &limits) < 0)
        return limit_error();
    Py_RETURN_NONE;
}

static PyMethodDef resource_methods[] = {
    {"prlimit", call_prlimit, METH_VARARGS, "prlimit(pid, resource[, limits]): the old limits"},
    {"getrlimit", call_getrlimit, METH_VARARGS, "getrlimit(resource): (soft, hard)"},
    {"setrlimit", call_setrlimit, METH_VARARGS, "setrlimit(resource, (soft, hard))"},
    {NULL, NULL, 0, NULL},
};

/* In the order in which posix.wait4 fills it. */
static PyStructSequence_Field rusage_fields[] = {
    {"ru_utime", "user time used"},
    {"ru_stime", "system time used"},
    {"ru_maxrss", "max. resident set size"},
    {"ru_ixrss", "shared memory size"},
    {"ru_idrss", "unshared data size"},
    {"ru_isrss", "unshared stack size"},
    {"ru_minflt", "page faults not requiring I/O"},
    {"ru_majflt", "page faults requiring I/O"},
    {"ru_nswap", "number of swap outs"},
    {"ru_inblock", "block input operations"},
    {"ru_oublock", "block output operations"},
    {"ru_msgsnd", "IPC messages sent"},
    {"ru_msgrcv", "IPC messages received"},
    {"ru_nsignals", "signals received"},
    {"ru_nvcsw", "voluntary context switches"},
    {"ru_nivcsw", "involuntary context switches"},
    {NULL, NULL},
};

static PyStructSequence_Desc rusage_desc = {
    .name = "resource.struct_rusage",
    .fields = rusage_fields,
    .n_in_sequence = 16,
};

static const struct {
    const char *name;
    int number;
} limit_names[] = {
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

static int resource_exec(PyObject *module)
{
    PyTypeObject *rusage = PyStructSequence_NewType(&rusage_desc);
    if (rusage == NULL)
        return -1;
    int failed = PyModule_AddObject(module, "struct_rusage", (PyObject *)rusage) < 0;
    for (size_t i = 0; i < sizeof limit_names / sizeof *limit_names; i++)
        failed |= PyModule_AddIntConstant(module, limit_names[i].name, limit_names[i].number) < 0;
    failed |= PyModule_AddIntConstant(module, "RLIM_INFINITY", -1) < 0;
    return failed ? -1 : 0;
}

static PyModuleDef_Slot resource_slots[] = {{Py_mod_exec, resource_exec}, {0, NULL}};

static PyModuleDef resource_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "resource",
    .m_methods = resource_methods,
    .m_slots = resource_slots,
};

PyObject *PyInit_resource(void)
{
    return PyModuleDef_Init(&resource_module);
}
