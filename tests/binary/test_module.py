"""The executable's modules in C, loaded by an ordinary Python."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PRELUDE = """
import ctypes, importlib.machinery, importlib.util, os, resource as theirs, signal, sys, time

def load(name):
    loader = importlib.machinery.ExtensionFileLoader(name, sys.argv[1])
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module
"""


def run(library: Path, code: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-I", "-c", PRELUDE + code, str(library)]
    return subprocess.run(words, capture_output=True, text=True, timeout=90, check=False)


def test_a_signal_that_was_sent_is_handled_and_a_fault_is_the_end(library: Path) -> None:
    ran = run(
        library,
        "_initpy = load('_initpy')\n"
        "signal.signal(signal.SIGSEGV, lambda *_: print('handled', flush=True))\n"
        "_initpy.handle_sent(signal.SIGSEGV)\n"
        "for _ in range(2):\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
        "theirs.setrlimit(theirs.RLIMIT_CORE, (0, 0))\n"
        "ctypes.string_at(0)\n",
    )
    assert ran.stdout == "handled\nhandled\n"
    assert ran.returncode == -signal.SIGSEGV


def test_prctl(library: Path) -> None:
    ran = run(
        library,
        "_initpy = load('_initpy')\n"
        "print(_initpy.prctl(39, 0), _initpy.prctl(38, 1), _initpy.prctl(39, 0))\n"
        "try:\n    _initpy.prctl(38, 2)\n"
        "except OSError as exc:\n    print(exc.errno)\n",
    )
    assert ran.stdout == "0 0 1\n22\n", ran.stderr


def test_resource_is_as_python_s_own(library: Path) -> None:
    ran = run(
        library,
        "ours = load('resource')\n"
        "public = {name for name in dir(ours) if not name.startswith('_')}\n"
        "print(sorted(public - set(dir(theirs))))\n"
        "print(sorted(n for n in vars(theirs) if n.startswith('RLIMIT_') and n not in public))\n"
        "print([n for n in public if n.startswith('RLIM')\n"
        "       and getattr(ours, n) != getattr(theirs, n)])\n"
        "print(all(ours.getrlimit(getattr(ours, n)) == theirs.getrlimit(getattr(ours, n))\n"
        "          for n in public if n.startswith('RLIMIT_')))\n"
        "ours.setrlimit(ours.RLIMIT_NOFILE, (50, 60))\n"
        "print(theirs.getrlimit(theirs.RLIMIT_NOFILE))\n"
        "print(ours.prlimit(0, ours.RLIMIT_NOFILE, [40, 60]))\n"
        "print(ours.prlimit(0, ours.RLIMIT_NOFILE))\n"
        "for wrong in (lambda: ours.setrlimit(ours.RLIMIT_NOFILE, (61, 60)),\n"
        "              lambda: ours.prlimit(0, ours.RLIMIT_NOFILE, (1,)),\n"
        "              lambda: ours.prlimit(-5, ours.RLIMIT_NOFILE)):\n"
        "    try:\n        print(wrong())\n"
        "    except Exception as exc:\n        print(type(exc).__name__)\n"
        "mine, yours = ours.struct_rusage, theirs.struct_rusage\n"
        "print([n for n in dir(yours) if n.startswith('ru_')] ==\n"
        "      [n for n in dir(mine) if n.startswith('ru_')], mine(range(16)).ru_maxrss)\n",
    )
    assert ran.stdout.splitlines() == [
        "[]",
        "['RLIMIT_OFILE']",
        "[]",
        "True",
        "(50, 60)",
        "(50, 60)",
        "(40, 60)",
        "ValueError",
        "TypeError",
        "ProcessLookupError",
        "True 2",
    ], ran.stderr


def test_a_file_is_mapped(library: Path) -> None:
    ran = run(
        library,
        "_initpy = load('_initpy')\n"
        "fd = os.memfd_create('file')\n"
        "os.ftruncate(fd, 8192)\n"
        "view = _initpy.map_file(fd, 4096, 4096)\n"
        "view[:5] = b'hello'\n"
        "print(os.pread(fd, 5, 4096), len(view))\n"
        "for wrong in ((fd, 0, 0), (-1, 4096, 0)):\n"
        "    try:\n"
        "        _initpy.map_file(*wrong)\n"
        "    except (ValueError, OSError) as exc:\n"
        "        print(type(exc).__name__)\n",
    )
    assert ran.stdout == "b'hello' 4096\nValueError\nOSError\n", ran.stderr
