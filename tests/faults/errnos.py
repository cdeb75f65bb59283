"""Which errnos each syscall of PID 1 may fail with.

It is what section 2 of the Linux manual pages (Debian 12's, man-pages 6.03) names under ERRORS, and
unix(7) for sockets, but for what only a wrong call can meet: EFAULT, EINVAL, ENAMETOOLONG, ENOTSOCK
and their like. EBADF is in, for one descriptor closed too much is the classic way to it; EIO is in
wherever a file system or a terminal can be behind. ECHILD is not: who has children never meets it,
and who has none meets it in every life.
"""

from __future__ import annotations

_FILE = "EACCES EIO ELOOP ENOENT ENOMEM ENOTDIR"

ERRNOS: dict[str, tuple[str, ...]] = {
    name: tuple(errnos.split())
    for name, errnos in {
        "bind": "EACCES EADDRINUSE EADDRNOTAVAIL ELOOP ENOENT ENOMEM ENOTDIR EPERM EROFS",
        "brk": "ENOMEM",
        "chmod": f"{_FILE} EPERM EROFS",
        "chown": f"{_FILE} EPERM EROFS",
        "clone": "EAGAIN ENOMEM ENOSPC EPERM EUSERS",
        "close": "EBADF EINTR EIO ENOSPC EDQUOT",
        "connect": "EACCES EAGAIN ECONNREFUSED EINTR ENOENT EPROTOTYPE",
        "dup2": "EBADF EBUSY EINTR EMFILE",
        "epoll_create1": "EMFILE ENFILE ENOMEM",
        "epoll_ctl": "EBADF EEXIST ENOENT ENOMEM ENOSPC EPERM",
        "epoll_wait": "EBADF EINTR",
        "execveat": f"{_FILE} E2BIG EAGAIN EMFILE ENFILE ENOEXEC EPERM ETXTBSY",
        "fchown": "EBADF EIO EPERM EROFS",
        "fcntl": "EAGAIN EBADF EINTR EPERM",
        "ftruncate": "EBADF EFBIG EINTR EIO EPERM",
        "getdents64": "EBADF EIO ENOENT",
        "getrandom": "EAGAIN EINTR ENOSYS",
        "ioctl": "EBADF ENOTTY EIO",
        "kill": "EPERM ESRCH",
        "listen": "EADDRINUSE",
        "lseek": "EBADF ENXIO EOVERFLOW ESPIPE",
        "lstat": "EACCES ELOOP ENOENT ENOMEM ENOTDIR EOVERFLOW",
        "madvise": "EAGAIN EBADF EIO ENOMEM EPERM",
        "memfd_create": "EMFILE ENFILE ENOMEM ENOSYS EPERM",
        "mkdir": "EACCES EDQUOT EEXIST ELOOP EMLINK ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS",
        "mmap": "EACCES EAGAIN ENFILE ENODEV ENOMEM EPERM",
        "mprotect": "EACCES ENOMEM",
        "mremap": "EAGAIN ENOMEM",
        "munmap": "ENOMEM",
        "newfstatat": "EACCES EBADF EIO ELOOP ENOENT ENOMEM ENOTDIR EOVERFLOW",
        "openat": f"{_FILE} EBUSY EINTR EISDIR EMFILE ENFILE ENODEV ENOSPC ENXIO EPERM EROFS",
        "pipe2": "EMFILE ENFILE",
        "poll": "EINTR ENOMEM",
        "prctl": "EACCES EPERM",
        "pread64": "EBADF EINTR EIO",
        "prlimit64": "EPERM ESRCH",
        "pwrite64": "EBADF EDQUOT EFBIG EINTR EIO ENOSPC EPERM ESPIPE",
        "read": "EAGAIN EBADF EINTR EIO EISDIR",
        "readlink": f"{_FILE}",
        "rename": f"{_FILE} EBUSY EDQUOT EMLINK ENOSPC EPERM EROFS EXDEV",
        "sendto": "EAGAIN ECONNRESET EINTR ENOBUFS ENOMEM EPIPE",
        "setsid": "EPERM",
        "socket": "EACCES EAFNOSUPPORT EMFILE ENFILE ENOBUFS ENOMEM EPERM",
        "splice": "EAGAIN EBADF ENOMEM",
        "unlink": f"{_FILE} EBUSY EISDIR EPERM EROFS",
        "wait4": "EINTR",
        "waitid": "EINTR",
        "write": "EAGAIN EBADF EDQUOT EFBIG EINTR EIO ENOSPC EPERM EPIPE",
    }.items()
}

NONE = (
    "arch_prctl",
    "execve",
    "exit",
    "exit_group",
    "futex",
    "getcwd",
    "geteuid",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "set_robust_list",
    "set_tid_address",
    "sysinfo",
    "umask",
    "uname",
)
"""Syscalls that always succeed, or fail of a wrong call alone (rt_sigaction: EFAULT, EINVAL); and
what the gate does: its wait, and its execve."""

NOT_CARRIED_OUT = {
    "close": "strace leaves the file open, where the kernel would have closed it all the same",
    "munmap": "as close",
}
"""Where the injection is harder than what it stands for."""
