"""Floor 2: the PID 1 of one command. Signals come in with sigwaitinfo, and go to the command.

All signals stay blocked, so that none is lost and one that is sent can be passed on whatever its
number is; a fault of PID 1's own still ends it, for the kernel does not hold those back. There is
no handler, no timer and no descriptor: with nothing to do it sleeps in one syscall.

`OneCommand` is what `initpy -- COMMAND` does; the drop-ins change what tini and dumb-init do in
other ways. Next to nothing is imported: this process is there for as long as the container.
"""

from __future__ import annotations

import errno
import posix
import time

from initpy.linux.native import IS_BINARY, OUR_GROUP, OWN_SESSION, pass_on, spawn, started

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import NoReturn

    from initpy.linux.log import LogWriter
else:
    import _signal

SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGPIPE, SIGTERM, SIGCHLD = 1, 2, 3, 9, 13, 15, 17
SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGXFSZ, SIGWINCH = 18, 19, 20, 21, 22, 25, 28
SUSPENDING = (SIGTSTP, SIGTTIN, SIGTTOU)
FROM_A_TERMINAL = (SIGINT, SIGQUIT, *SUSPENDING, SIGWINCH)
ALL = frozenset([int(signum) for signum in _signal.valid_signals()])

BY_THE_KERNEL = 0x80
"""SI_KERNEL: the si_code of a signal that nobody has sent, such as a terminal's."""

IGNORED_BY_PYTHON = () if IS_BINARY else (SIGPIPE, SIGXFSZ)
"""What they were before, only the static executable knows, which leaves them as they are. Elsewhere
the command gets the default, as nearly every parent leaves it."""

STDIN, STDERR = 0, 2

TIOCSCTTY, TIOCNOTTY = 0x540E, 0x5422
"""As nearly every kind of machine has them; termios is one more module."""

MAX_REAPS = 1000
"""Between two looks at the other signals."""

MAX_SWEEPS = 20
"""As a subreaper: how often what is left is looked for and killed."""

SWEEP_S = 0.5
"""How long one of these looks may take, and its victims to die."""

LAST_LINES_S = 0.2
"""What a slow reader of stderr gets, at the very end, to take the last lines."""

KILL_AFTER_S = 5.0


class OneCommand:
    """Runs one command, whatever else there is to do for it as PID 1, and ends as it did."""

    def __init__(self, argv: list[str], mask: tuple[int, ...]) -> None:
        """All signals are blocked; `mask` is what was blocked when we were started.

        The attributes below may be changed until `run`.
        """
        self.argv = argv
        self.mask = mask
        """What is blocked in the command."""
        self.dispositions: dict[int, _signal.Handlers] = {}
        """What is not to reach the command as it is in this process."""
        self.to_group = False
        """Signals go to the command's process group, not to itself alone."""
        self.own_session = True
        """The command has a session of its own, or else stays in ours and in our process group."""
        self.needs_subreaper = False
        """End rather than run where orphans cannot be adopted."""
        self.pdeathsig = 0
        """The signal that we get when our parent dies; 0: none."""
        self.rewrites: dict[int, int] = {}
        """What is sent in place of a signal; 0: nothing."""
        self.exit_codes: dict[int, int] = {}
        """What to exit with in place of the command's exit code."""
        self.kill_after_s = KILL_AFTER_S
        """How long what the command has left behind gets from TERM to KILL."""
        self.is_verbose = False
        self.warns_on_reap = False
        self._log: LogWriter | None = None
        self._is_first = posix.getpid() == 1
        self._adopts = self._is_first
        """Orphans of the command become our children."""
        self._shares_terminal = False
        """The terminal is not ours to give away: the command is a job in the foreground."""
        self.child = 0
        """Its pid."""
        self._is_over = False
        """The command has been reaped: its pid may be another's."""
        self._code: int | None = None

    def run(self) -> int:
        """Run the command to its end; returns the exit code."""
        failed = self.prepare()
        if failed:
            return failed
        self.look_at_dispositions()
        try:
            self.child = started() or self._spawn() or self._fork()
        except OSError as exc:
            return self.fork_failed(exc)
        self.spawned()
        return self.finish(self._loop())

    # ------------------------------------------------------------ what the drop-ins do otherwise

    def prepare(self) -> int:
        """Whatever comes before the command is started. Returns 0, or what to exit with."""
        if not self._is_first:
            why_not = self.adopt()
            if why_not and self.needs_subreaper:
                return self.refuse(f"cannot become a subreaper: {why_not}")
            if why_not:
                self.say("WARN", f"cannot adopt orphans ({why_not}): not all can be ended")
        if self.pdeathsig:
            from initpy.linux.syscalls import set_pdeathsig  # noqa: PLC0415

            why_not = set_pdeathsig(self.pdeathsig)
            if why_not:
                return self.refuse(f"cannot set the parent-death signal: {why_not}")
        if self.own_session:
            self.let_terminal_go()
        return 0

    def place(self) -> int | None:
        """What `isolate` comes to, where it is no more than one of OUR_GROUP, OWN_SESSION and
        OWN_GROUP; None: it is."""
        if self._shares_terminal or posix.isatty(STDIN):
            return None
        return OWN_SESSION if self.own_session else OUR_GROUP

    def isolate(self) -> None:
        """In the child: its session, its process group and its terminal."""
        if self._shares_terminal:
            posix.setpgid(0, 0)
            if posix.tcgetpgrp(STDIN) == posix.getpgid(posix.getppid()):
                posix.tcsetpgrp(STDIN, posix.getpid())
        elif self.own_session:
            posix.setsid()
            if posix.isatty(STDIN):
                self.take_terminal()

    def exec_failed(self, why: OSError) -> int:
        """In the child: say why the command could not be executed; returns the exit code."""
        from initpy.linux.execvp import exit_code_of  # noqa: PLC0415

        code = exit_code_of(why)
        text = why.strerror
        if code == 127 and "/" in self.argv[0] and _exists(self.argv[0]):
            text = (
                "it is there, but the interpreter that its first line names, or its dynamic"
                " loader, is not"
            )
        elif code == 127 and "/" not in self.argv[0]:
            text = "not found in PATH"
        complain(f"initpy: cannot execute {self.argv[0]!r}: {text}")
        return code

    def fork_failed(self, why: OSError) -> int:
        """Say that no process could be had for the command; returns the exit code."""
        return self.refuse(f"cannot start the command: fork: {why.strerror}")

    def spawned(self) -> None:
        """The command has been started."""
        if self.is_verbose:
            self.say("INFO", f"spawned: '{self.argv[0]}' with pid {self.child}")
        try:  # noqa: SIM105 - contextlib is too large
            posix.chdir("/")  # the command is where it was
        except OSError:  # then so are we
            pass

    def received(self, signum: int, si_code: int) -> None:
        """A signal has come that is not SIGCHLD: pass it on."""
        if si_code == BY_THE_KERNEL and signum in FROM_A_TERMINAL and not self.own_session:
            sent = 0  # the terminal's signal to our process group: the command has it already
        else:
            sent = self.rewrites.get(signum, SIGSTOP if signum in SUSPENDING else signum)
            if sent:
                self.send(sent)
        if self.is_verbose:
            to = f"sent {sent}" if sent else "not passed on"
            self.say("INFO", f"received signal {signum}: {to}")
        if signum in SUSPENDING and (sent == SIGSTOP or si_code == BY_THE_KERNEL):
            self.suspend()

    def plain_signals(self) -> frozenset[int]:
        """Those with which `received` does nothing but `send` them."""
        if self.is_verbose:
            return frozenset()
        special = {SIGCHLD, *self.rewrites, *SUSPENDING}
        return ALL - special if self.own_session else ALL - special - {*FROM_A_TERMINAL}

    def children_died(self) -> None:
        """SIGCHLD has come."""

    def reaped(self, pid: int, _wait_status: int) -> None:
        """A child has been reaped that is not the command."""
        if self.warns_on_reap:
            self.say("WARN", f"reaped orphan {pid}")

    def nothing_to_reap(self, has_children: bool) -> None:
        """All that have died have been reaped."""

    def ended(self, wait_status: int) -> int:
        """The command has ended. Returns the exit code."""
        code = exit_code(wait_status)
        if self.is_verbose:
            how = f"killed by signal {code - 128}" if posix.WIFSIGNALED(wait_status) else code
            self.say("INFO", f"the command has ended: {how}")
        return self.exit_codes.get(code, code)

    def end_with(self, code: int) -> None:
        """Do not go on."""
        self._code = code

    def finish(self, code: int) -> int:
        """The last thing: leave nothing behind. Returns the exit code."""
        if self._shares_terminal:
            self._take_foreground(posix.getpgrp())
        self._end_the_rest()
        if self._log is not None:
            self._log.flush_before_exit(LAST_LINES_S)
        return code

    # ------------------------------------------------------------ the loop

    def _loop(self) -> int:
        """Until the command has ended. Returns the exit code."""
        plain = self.plain_signals()
        target = -self.child if self.to_group else self.child
        while self._code is None:
            signum, si_code = pass_on(target, plain)
            if signum == SIGCHLD:
                self.children_died()
            else:
                self.received(signum, si_code)
            self._reap()
        return self._code

    def _reap(self) -> None:
        """Bury the dead, as many as one turn allows; if more are left, come back at once."""
        flags = posix.WNOHANG | (posix.WUNTRACED if self._shares_terminal else 0)
        for _ in range(MAX_REAPS):
            try:
                pid, wait_status = posix.waitpid(-1, flags)
            except ChildProcessError:
                self.nothing_to_reap(False)
                return
            if pid == 0:
                self.nothing_to_reap(True)
                return
            if posix.WIFSTOPPED(wait_status):
                if pid == self.child:
                    self._be_stopped()
            elif pid == self.child:
                self._is_over = True
                self._code = self.ended(wait_status)
            else:
                self.reaped(pid, wait_status)
        posix.kill(posix.getpid(), SIGCHLD)

    def send(self, signum: int) -> int:
        """Send the command, or its process group, a signal. Returns 0, or the errno."""
        why_not = errno.ESRCH
        if self.to_group:
            why_not = _kill(-self.child, signum)
        if why_not == errno.ESRCH and not self._is_over:  # it may still be on its way to a group
            why_not = _kill(self.child, signum)
        return why_not

    def suspend(self) -> None:
        """Stop ourselves until CONT. PID 1 cannot be stopped from within its namespace, and to try
        it would only discard a CONT that waits."""
        if not self._is_first:
            posix.kill(posix.getpid(), SIGSTOP)

    def _be_stopped(self) -> None:
        """The command has been stopped, perhaps with Ctrl-Z: so are we, until the shell that we
        are a job of says CONT, which then comes to the command with the terminal."""
        self._take_foreground(posix.getpgrp())
        self.suspend()
        self._take_foreground(self.child)
        self.to_group, before = True, self.to_group
        self.send(SIGCONT)
        self.to_group = before

    def _take_foreground(self, group: int) -> None:
        """Make a process group the terminal's, if it is now that of ours or of the command."""
        try:
            if posix.tcgetpgrp(STDIN) in (posix.getpgrp(), self.child):
                posix.tcsetpgrp(STDIN, group)
        except OSError:  # it has been hung up
            pass

    # ------------------------------------------------------------ the child

    def _spawn(self) -> int:
        """Start the command without forking Python, which takes 1 ms less. Returns the pid, or 0:
        it has to be done the long way, which also knows what to say when it fails.

        It waits until the command has been executed; there is nothing else to do until then.
        """
        place = self.place()
        if not IS_BINARY or place is None or _signal.SIG_IGN in self.dispositions.values():
            return 0
        return spawn(self.argv, place, self.mask, self.dispositions)

    def _fork(self) -> int:
        """Start the command by forking. Returns the pid.

        Raises:
            OSError: there is no process for it.
        """
        environment = _environment()
        pid = posix.fork()
        if pid == 0:
            self._become(environment)
        return pid

    def _become(self, environment: dict[bytes, bytes]) -> NoReturn:
        """The child's life up to exec."""
        code = 1
        try:
            self.isolate()
            self._restore_signals()
            from initpy.linux.execvp import execvp  # noqa: PLC0415 - PID 1 has no use for it

            code = self.exec_failed(execvp(self.argv, environment))
        except OSError as exc:
            complain(f"initpy: cannot prepare the command: {exc.strerror}")
        except BaseException as exc:  # whatever it is: two PID 1s must never return from fork
            complain(f"initpy: cannot prepare the command: {exc!r}")
        finally:
            posix._exit(code)

    def give_up(self, code: int) -> NoReturn:
        """In the child, before exec: end it."""
        posix._exit(code)

    def _restore_signals(self) -> None:
        for signum, action in self.dispositions.items():
            _signal.signal(signum, action)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self.mask)

    def look_at_dispositions(self) -> None:
        """Note what the command's process has to set back: what Python has changed, and CHLD,
        which must not be ignored, or the kernel itself would reap our children."""
        if not _is_ignored(SIGINT):
            self.dispositions[SIGINT] = _signal.SIG_DFL
        self.dispositions |= dict.fromkeys(IGNORED_BY_PYTHON, _signal.SIG_DFL)
        if _is_ignored(SIGCHLD):
            self.dispositions[SIGCHLD] = _signal.SIG_IGN
            _signal.signal(SIGCHLD, _signal.SIG_DFL)

    # ------------------------------------------------------------ the terminal

    def let_terminal_go(self) -> None:
        """Give up our controlling terminal, if stdin is one, so that the command's session can
        have it. Where it is another session's, the command shares it, as a job in it."""
        try:
            posix.tcgetpgrp(STDIN)
        except OSError:  # not a terminal, or not ours
            return
        if posix.getsid(0) != posix.getpid():
            self._shares_terminal = True
            return
        self.detach()

    def detach(self) -> list[int]:
        """Give up the controlling terminal.

        The kernel then tells the foreground, as at a hangup: HUP and CONT, which are not for the
        command. Returns what of that came to us and is taken already.

        Raises:
            OSError: stdin is not our controlling terminal.
        """
        posix.tcgetpgrp(STDIN)  # says the same, without importing anything
        import fcntl  # noqa: PLC0415

        sent = _signal.sigpending()  # by somebody, since we were started
        fcntl.ioctl(STDIN, TIOCNOTTY)
        told = [int(n) for n in (_signal.sigpending() - sent) & {SIGHUP, SIGCONT}]
        for signum in told:
            _signal.sigtimedwait((signum,), 0)
        return told

    def take_terminal(self) -> int:
        """In the child, which leads a session: make stdin its controlling terminal.

        Returns 0, or the errno: it is no terminal, or another session's.
        """
        import fcntl  # noqa: PLC0415

        try:
            fcntl.ioctl(STDIN, TIOCSCTTY, 0)
        except OSError as exc:
            return exc.errno or errno.EIO
        return 0

    # ------------------------------------------------------------ what is left behind

    def adopt(self) -> str:
        """As an ordinary process: have orphans handed to us. Returns why not, or nothing."""
        from initpy.linux.syscalls import become_subreaper  # noqa: PLC0415

        why_not = become_subreaper()
        self._adopts = not why_not
        return why_not

    def _end_the_rest(self) -> None:
        """Send what the command has left behind TERM, and KILL to what is still there later."""
        if not self._sees_the_rest():  # then all that can be found of it is its process group
            for signum in (SIGTERM, SIGCONT):
                _kill(-self.child, signum)
            return
        if self.kill_after_s > 0:
            if not self._tell_the_rest(SIGTERM):
                return
            if self._wait_until_alone(self.kill_after_s):
                return
        for _ in range(MAX_SWEEPS):
            if not self._tell_the_rest(SIGKILL) or self._wait_until_alone(SWEEP_S):
                return

    def _sees_the_rest(self) -> bool:
        from initpy.linux.children import has_own_proc  # noqa: PLC0415 - at the end only

        return self._is_first or (self._adopts and has_own_proc())

    def _tell_the_rest(self, signum: int) -> bool:
        """Send all that is left a signal. Returns whether there is anything."""
        if self._is_first:
            if _kill(-1, signum):
                return False
            if signum != SIGKILL:
                _kill(-1, SIGCONT)  # or a stopped process would never see it
        else:
            try:
                posix.waitid(posix.P_ALL, 0, posix.WEXITED | posix.WNOHANG | posix.WNOWAIT)
            except ChildProcessError:
                return False
            try:
                if posix.fork() == 0:
                    _tell_descendants(posix.getppid(), signum)
            except OSError:  # no process for it: what is left stays
                return False
        if self.is_verbose:
            self.say("INFO", f"sent {signum} to what the command has left behind")
        return True

    def _wait_until_alone(self, within_s: float) -> bool:
        """Wait for the end of all children. Returns whether that has come."""
        due_at = time.monotonic() + within_s
        while True:
            try:
                while posix.waitpid(-1, posix.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return True
            left_s = due_at - time.monotonic()
            if left_s <= 0:
                return False
            _signal.sigtimedwait((SIGCHLD,), left_s)

    # ------------------------------------------------------------ words

    def say(self, level: str, text: str) -> None:
        """Write a line of the log, without ever waiting for who reads it."""
        if self._log is None:
            from initpy.linux.log import LogWriter  # noqa: PLC0415 - who is not asked is silent

            try:
                self._log = LogWriter(STDERR)
            except OSError:  # it is closed
                return
        self._log.line(level, text)

    def refuse(self, text: str) -> int:
        """Say why the command is not even tried; returns the exit code."""
        complain(f"initpy: {text}")
        return 1


def put(fd: int, text: str) -> None:
    """Write to stdout or stderr, as far as that can be done."""
    try:  # noqa: SIM105 - contextlib is too large
        posix.write(fd, text.encode(errors="surrogateescape"))
    except OSError:  # closed, or nobody reads it
        pass


def complain(text: str) -> None:
    """Write a line to stderr, where nothing runs yet that could be held up."""
    put(STDERR, f"{text}\n")


def exit_code(wait_status: int) -> int:
    """The exit code, or 128 and the number of the signal."""
    if posix.WIFSIGNALED(wait_status):
        return 128 + posix.WTERMSIG(wait_status)
    return posix.WEXITSTATUS(wait_status)


def _is_ignored(signum: int) -> bool:
    return _signal.getsignal(signum) == _signal.SIG_IGN


def _environment() -> dict[bytes, bytes]:
    from initpy.linux.environment import given_environment  # noqa: PLC0415

    return given_environment()


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def _kill(pid: int, signum: int) -> int:
    """Returns 0, or the errno."""
    try:
        posix.kill(pid, signum)
    except OSError as exc:
        return exc.errno or errno.EIO
    return 0


def _tell_descendants(ancestor: int, signum: int) -> NoReturn:
    """In a helper: signal all that descends from the process, but for ourselves."""
    try:
        from initpy.linux import proc  # noqa: PLC0415 - in the helper only

        for pid in proc.below(ancestor, {posix.getpid()}):
            _kill(pid, signum)
            if signum != SIGKILL:
                _kill(pid, SIGCONT)
    except BaseException as exc:  # two PID 1s must never return from fork
        complain(f"initpy: cannot look for what is left: {exc!r}")
    finally:
        posix._exit(0)
