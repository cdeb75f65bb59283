/* The start of a program by a child that has no memory of its own: it runs in ours, on a stack of
 * its own, until it executes the program. A fork copies the page tables, and after it each page
 * that either of the two writes to: half of the time of a restart.
 *
 * It is a vfork but for one thing: we do not wait for its exec, which a slow file system can make
 * seconds. All that the child reads lies in a block that stays until the kernel says that the child
 * has left this memory. If we execute ourselves meanwhile, it keeps the memory to itself.
 *
 * Two things that a child may do before exec would change us as well, since to the kernel they
 * belong to the memory. They are not done here; initpy.linux.start has the programs forked that ask
 * for them:
 *
 *   oom_score_adj   is set for all processes that share the memory
 *   another user    leaves the memory undumpable: nobody without CAP_SYS_PTRACE can open
 *                   /proc/1/fd/1 any more, to which containers like to have things written. If one
 *                   undid that, others of that user could write to our memory through the child.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "child.h"
#include "initpy.h"

enum { STACK_BYTES = 16384 };

/* ------------------------------------------------------------ blocks */

/* It lies above the stack, and the stack above a page that is no memory. */
struct block {
    struct block *next;
    char *mapping;
    size_t bytes; /* of the mapping */
    /* Not 0 as long as the child is in this memory: the kernel clears it, at exec or at its end. It
     * does so before the child's end of the pipe is closed. */
    pid_t is_used;
    size_t room; /* in `content` */
    _Alignas(16) char content[];
};

static struct block *blocks;

static int is_used(const struct block *block)
{
    return __atomic_load_n(&block->is_used, __ATOMIC_ACQUIRE) != 0;
}

/* All but one, which is for the next start. */
void initpy_release(void)
{
    int is_kept = 0;
    for (struct block **at = &blocks; *at != NULL;) {
        struct block *block = *at;
        if (!is_used(block) && is_kept) {
            *at = block->next;
            munmap(block->mapping, block->bytes);
        } else {
            is_kept |= !is_used(block);
            at = &block->next;
        }
    }
}

/* A block that nobody uses; NULL: there is no memory. */
static struct block *take_block(size_t room)
{
    for (struct block *block = blocks; block != NULL; block = block->next)
        if (!is_used(block) && block->room >= room)
            return block;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t below = page + STACK_BYTES;
    size_t bytes = (below + sizeof(struct block) + room + page - 1) / page * page;
    char *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    if (mprotect(mapping, page, PROT_NONE) < 0) {
        munmap(mapping, bytes);
        return NULL;
    }
    struct block *block = (struct block *)(mapping + below);
    block->mapping = mapping;
    block->bytes = bytes;
    block->room = bytes - below - sizeof *block;
    block->next = blocks;
    blocks = block;
    return block;
}

/* ------------------------------------------------------------ the parent */

/* Room in a block, or, without one, the count of what would be needed. */
struct room {
    char *begin;
    size_t taken;
};

static void *take_room(struct room *room, size_t bytes)
{
    char *place = room->begin == NULL ? NULL : room->begin + room->taken;
    room->taken += (bytes + 15) / 16 * 16;
    return place;
}

static const char *text_in(struct room *room, PyObject *object)
{
    char *text;
    if (PyBytes_AsStringAndSize(object, &text, NULL) < 0) /* ValueError: there is a 0 in it */
        return NULL;
    size_t length = (size_t)PyBytes_GET_SIZE(object);
    char *place = take_room(room, length + 1);
    return place == NULL ? "" : memcpy(place, text, length + 1);
}

static char **texts_in(struct room *room, PyObject *tuple)
{
    static char *none[1];
    Py_ssize_t count = PyTuple_GET_SIZE(tuple);
    char **places = take_room(room, ((size_t)count + 1) * sizeof *places);
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *text = text_in(room, PyTuple_GET_ITEM(tuple, i));
        if (text == NULL)
            return NULL;
        if (places != NULL)
            places[i] = (char *)text;
    }
    if (places == NULL)
        return none;
    places[count] = NULL;
    return places;
}

static char **environment_in(struct room *room, PyObject *dict)
{
    static char *none[1];
    PyObject *name, *value;
    Py_ssize_t position = 0, i = 0;
    char **places = take_room(room, ((size_t)PyDict_GET_SIZE(dict) + 1) * sizeof *places);
    while (PyDict_Next(dict, &position, &name, &value)) {
        char *name_text, *value_text;
        if (PyBytes_AsStringAndSize(name, &name_text, NULL) < 0 ||
            PyBytes_AsStringAndSize(value, &value_text, NULL) < 0)
            return NULL;
        size_t name_length = (size_t)PyBytes_GET_SIZE(name);
        size_t value_length = (size_t)PyBytes_GET_SIZE(value);
        if (name_length == 0 || strchr(name_text, '=') != NULL) {
            PyErr_SetString(PyExc_ValueError, "illegal environment variable name");
            return NULL;
        }
        char *place = take_room(room, name_length + value_length + 2);
        if (places == NULL)
            continue;
        memcpy(place, name_text, name_length);
        place[name_length] = '=';
        memcpy(place + name_length + 1, value_text, value_length + 1);
        places[i++] = place;
    }
    if (places == NULL)
        return none;
    places[i] = NULL;
    return places;
}

static const struct limit *limits_in(struct room *room, PyObject *tuple)
{
    static const struct limit none;
    Py_ssize_t count = PyTuple_GET_SIZE(tuple);
    struct limit *places = take_room(room, (size_t)count * sizeof *places);
    for (Py_ssize_t i = 0; i < count; i++) {
        int number;
        long long soft, hard; /* RLIM_INFINITY is -1, as in CPython */
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, i), "iLL", &number, &soft, &hard))
            return NULL;
        if (places != NULL)
            places[i] = (struct limit){number, {(uint64_t)soft, (uint64_t)hard}};
    }
    return places == NULL ? &none : places;
}

/* Linux 5.16 or later: before, a child that dumped core ended all who share its memory. */
static int is_kernel_good(void)
{
    static int is_good = -1;
    struct utsname name;
    int major, minor;
    if (is_good < 0)
        is_good = uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
                  (major > 5 || (major == 5 && minor >= 16));
    return is_good;
}

/* The pid; -1, with errno set. */
static pid_t clone_child(struct block *block, struct start *start)
{
#if defined(__x86_64__) || defined(__aarch64__)
    block->is_used = 1;
    pid_t pid = clone(initpy_become, block, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, start, NULL,
                      NULL, &block->is_used);
    if (pid < 0)
        block->is_used = 0;
    return pid;
#else
    errno = ENOSYS;
    (void)block, (void)start;
    return -1;
#endif
}

const char initpy_start_doc[] =
    "start(argv, paths, environment, name, directory, fds, ours, limits, umask, nice,\n"
    "no_new_privs, handled, ignored, mask)\n\n"
    "Have a child execute one of the paths, in our memory until then. Of the environment, both\n"
    "names and values are bytes. fds are its stdin, stdout and stderr, and the pipe for the\n"
    "reason. The limits (number, soft, hard) are `ours` first: if these fail, the program is not\n"
    "to blame. umask -1, nice None: as ours. The signals `handled` get their default action, but\n"
    "for those `ignored`; `mask` are blocked; sets are as in pass_on. All signals have to be\n"
    "blocked meanwhile.\n\n"
    "Returns the pid. OSError: the kernel refuses; ENOSYS: it is too old.";

PyObject *initpy_start(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *argv, *paths, *environment, *name, *directory, *ours, *limits, *nice;
    struct start start;
    if (!PyArg_ParseTuple(args, "O!O!O!O!O!(iiii)O!O!iOpKKK:start", &PyTuple_Type, &argv,
                          &PyTuple_Type, &paths, &PyDict_Type, &environment, &PyBytes_Type, &name,
                          &PyBytes_Type, &directory, &start.fds[0], &start.fds[1], &start.fds[2],
                          &start.reason_fd, &PyTuple_Type, &ours, &PyTuple_Type, &limits,
                          &start.umask, &nice, &start.no_new_privs, &start.handled, &start.ignored,
                          &start.mask))
        return NULL;
    start.is_nice = nice != Py_None;
    start.nice = start.is_nice ? (int)PyLong_AsLong(nice) : 0;
    if (PyErr_Occurred())
        return NULL;
    if (PyTuple_GET_SIZE(argv) == 0) {
        PyErr_SetString(PyExc_ValueError, "argv is empty");
        return NULL;
    }
    start.ours_count = (int)PyTuple_GET_SIZE(ours);
    start.limits_count = (int)PyTuple_GET_SIZE(limits);
    if (!is_kernel_good()) {
        errno = ENOSYS;
        return PyErr_SetFromErrno(PyExc_OSError);
    }

    struct block *block = NULL;
    struct room room = {NULL, 0};
    struct start *place;
    for (;;) { /* once to see how much it is, and once more to write it */
        place = take_room(&room, sizeof *place);
        if ((start.argv = texts_in(&room, argv)) == NULL ||
            (start.paths = texts_in(&room, paths)) == NULL ||
            (start.envp = environment_in(&room, environment)) == NULL ||
            (start.name = text_in(&room, name)) == NULL ||
            (start.directory = text_in(&room, directory)) == NULL ||
            (start.ours = limits_in(&room, ours)) == NULL ||
            (start.limits = limits_in(&room, limits)) == NULL)
            return NULL;
        if (block != NULL)
            break;
        block = take_block(room.taken);
        if (block == NULL)
            return PyErr_SetFromErrno(PyExc_OSError);
        room = (struct room){block->content, 0};
    }
    *place = start;
    pid_t pid = clone_child(block, place);
    if (pid < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromLong(pid);
}
