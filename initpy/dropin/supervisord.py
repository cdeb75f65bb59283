"""initpy under the name supervisord: its options, as far as they mean anything in a container."""

from __future__ import annotations

import posix

from initpy.dropin.getopt import BAD, Options

VERSION = "4.3.0"
"""The one whose options these are."""

SEARCHED = (
    "supervisord.conf",
    "etc/supervisord.conf",
    "/etc/supervisord.conf",
    "/etc/supervisor/supervisord.conf",
    "/etc/initpy.toml",
)
"""The last is no place of supervisord's."""

_LETTERS = "h?c:nsvu:m:d:l:y:z:e:j:i:q:kta:"

_NAMES = (
    ("help", "h"),
    ("configuration", "c"),
    ("nodaemon", "n"),
    ("silent", "s"),
    ("version", "v"),
    ("user", "u"),
    ("umask", "m"),
    ("directory", "d"),
    ("logfile", "l"),
    ("logfile_maxbytes", "y"),
    ("logfile_backups", "z"),
    ("loglevel", "e"),
    ("pidfile", "j"),
    ("identifier", "i"),
    ("childlogdir", "q"),
    ("nocleanup", "k"),
    ("strip_ansi", "t"),
    ("minfds", "a"),
)

_MEANT = "hcnsvi?"
"""The options that say something here; `nodaemon` is what initpy does anyway."""

USAGE = """\
supervisord -- run a set of applications: initpy, under this name.

Usage: {} [options]

Options:
-c/--configuration FILENAME -- configuration file path (searches if not given)
-n/--nodaemon -- run in the foreground, as initpy always does
-h/--help -- print this usage message and exit
-v/--version -- print supervisord version number and exit
-i/--identifier STR -- identifier used for this instance of supervisord

Taken, and without a meaning here: -s -u -m -d -l -y -z -e -j -q -k -t -a
"""


class Asked:
    """What the arguments ask for."""

    def __init__(self, argv: list[str]) -> None:
        self.path = ""
        """The file to run from."""
        self.identifier = ""
        """Empty: as the file has it."""
        self.text = ""
        """To be said in place of running anything, with `code`."""
        self.code = 0
        self.unused: list[str] = []
        """Options that mean nothing here."""
        self._read(argv)

    def _read(self, argv: list[str]) -> None:
        options = Options(argv, _LETTERS, _NAMES, permute=False)
        for letter, value in options:
            if letter == BAD and value:
                self._refuse(value.partition(": ")[2], argv[0])
                return
            if letter in "h?":
                self.text = USAGE.format(argv[0])
                return
            if letter == "v":
                self.text = f"{VERSION}\n"
                return
            if letter == "c":
                self.path = value
            elif letter == "i":
                self.identifier = value
            elif letter not in _MEANT:
                self.unused.append(f"-{letter}")
        if options.rest:
            self._refuse(f"positional arguments are not supported: {options.rest}", argv[0])
        elif not self.path:
            self._search(argv[0])

    def _search(self, name: str) -> None:
        folder = name.rpartition("/")[0].rpartition("/")[0]
        places = (f"{folder}/etc/supervisord.conf", f"{folder}/supervisord.conf", *SEARCHED)
        for path in places if folder else SEARCHED:
            try:
                posix.stat(path)
            except OSError:
                continue
            self.path = path
            return
        where = ", ".join(SEARCHED)
        self._refuse(
            f"No config file found at default paths ({where}); use the -c option to specify a "
            "config file at a different path",
            name,
        )

    def _refuse(self, text: str, name: str) -> None:
        self.text = f"Error: {text}\nFor help, use {name} -h\n"
        self.code = 2
