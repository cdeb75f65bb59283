"""initpy with bugs: what the tests of self-repair run in its place, and have executed again.

Faults are files in the folder that the variable FAULTS names. Each has a line `POINT WHEN NTH` and
is removed as it strikes: an exception, "before" or "after" the NTH call of POINT since this image
has begun. POINT is a module, a colon, and a function or Class.method. As WHEN, "memory" means a
MemoryError, and "always" that it strikes each time. `lines MODULE …` strikes once in each line.

A Python file `patch.py` in the folder is run before initpy is.
"""

import posix
import sys

FOLDER = posix.environ[b"FAULTS"].decode()
OWN_PID = posix.getpid()
INDIVISIBLE = {"_note_step", "_note_done", "_tell", "record", "_record"}
"""Functions of a few assignments, in which nothing can fail."""

sys.path.append(__file__.rpartition("/tests/")[0])

from initpy.cli import main  # noqa: E402


def module_of(name: str) -> object:
    __import__(name)
    return sys.modules[name]


class InjectedError(Exception):
    pass


def strike(path: str, exc: type[BaseException]) -> None:
    """Once, in this process only."""
    if posix.getpid() == OWN_PID:
        try:
            posix.unlink(path)
        except FileNotFoundError:
            return
        raise exc(path.rpartition("/")[2])


def wrap(path: str, point: str, when: str, nth: int) -> None:
    module, _, name = point.partition(":")
    owner = module_of(module)
    *outer, name = name.split(".")
    for each in outer:
        owner = getattr(owner, each)
    original = getattr(owner, name)
    calls = 0

    def wrapped(*given: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            strike(path, InjectedError)
        if calls >= nth and when == "memory":
            strike(path, MemoryError)
        if calls >= nth and when == "always" and posix.getpid() == OWN_PID:
            raise InjectedError(point)
        done = original(*given, **named)
        if calls == nth and when == "after":
            strike(path, InjectedError)
        return done

    setattr(owner, name, wrapped)


def trace_lines(path: str, modules: list[str]) -> None:
    """Raise once in each line; those that have had it are written to the file."""
    files = {vars(module_of(module))["__file__"] for module in modules}
    with open(path) as struck_file:
        struck = {line.strip() for line in struck_file if ":" in line}
    begun = False

    def trace_line(frame: object, event: str, _: object) -> object:
        if event == "line":
            line = f"{frame.f_code.co_filename}:{frame.f_lineno}"  # type: ignore[attr-defined]
            if line not in struck and posix.getpid() == OWN_PID:
                struck.add(line)
                with open(path, "a") as struck_file:
                    struck_file.write(line + "\n")
                raise InjectedError(line)
        return trace_line

    def trace(frame: object, _event: str, _arg: object) -> object:
        nonlocal begun
        code = frame.f_code  # type: ignore[attr-defined]
        begun = begun or code.co_name == "_turn"
        if begun and code.co_filename in files and code.co_name not in INDIVISIBLE:
            return trace_line
        return None

    sys.settrace(trace)  # type: ignore[arg-type]


for name in sorted(posix.listdir(FOLDER)):
    if name != "patch.py" and not name.isdigit():
        continue  # a test's own
    path = f"{FOLDER}/{name}"
    with open(path) as fault:
        text = fault.read()
    if name == "patch.py":
        exec(compile(text, path, "exec"))
    elif text.startswith("lines "):
        trace_lines(path, text.splitlines()[0].split()[1:])
    else:
        point, when, nth = text.split()
        wrap(path, point, when, int(nth))

main()
