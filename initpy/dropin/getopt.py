"""The C library's getopt and getopt_long, as tini and dumb-init see them; messages included."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BAD = "?"
"""Stands for an option that getopt itself has complained of."""


class Options:
    """Iterate over the options: (letter, value). When that is over, `rest` is what is no option."""

    def __init__(
        self,
        argv: Sequence[str],
        letters: str,
        names: Sequence[tuple[str, str]] = (),
        *,
        permute: bool,
    ) -> None:
        """`letters` are those that getopt takes, a colon after those with a value; `names` are
        long options and the letter that each stands for; with `permute`, options are looked for
        behind the first word that is none, too. The first of `argv` is the program's name."""
        self._name = argv[0]
        self._left = list(argv[1:])
        self._takes_value = {
            letter: letters[at + 1 : at + 2] == ":"
            for at, letter in enumerate(letters)
            if letter != ":"
        }
        self._names = names
        self._permute = permute
        self.rest: list[str] = []

    def __iter__(self) -> Iterator[tuple[str, str]]:
        while self._left:
            word = self._left.pop(0)
            if word == "--":
                break
            if word == "-" or not word.startswith("-"):
                self.rest.append(word)
                if not self._permute:
                    break
            elif word.startswith("--") and self._names:
                yield self._long(word[2:])
            else:
                yield from self._short(word[1:])
        self.rest += self._left

    def _short(self, letters: str) -> Iterator[tuple[str, str]]:
        """What one word says: -vvw, -e5, or -ve and the value in the next."""
        for at, letter in enumerate(letters):
            if letter not in self._takes_value:
                yield self._complain(f"invalid option -- '{letter}'")
            elif not self._takes_value[letter]:
                yield letter, ""
            elif at + 1 < len(letters):
                yield letter, letters[at + 1 :]
                return
            elif self._left:
                yield letter, self._left.pop(0)
            else:
                yield self._complain(f"option requires an argument -- '{letter}'")

    def _long(self, word: str) -> tuple[str, str]:
        """What --NAME or --NAME=VALUE says; the beginning of a name will do."""
        given, is_joined, value = word.partition("=")
        found = [(name, letter) for name, letter in self._names if name.startswith(given)]
        exact = [(name, letter) for name, letter in found if name == given]
        if not found:
            return self._complain(f"unrecognized option '--{word}'")
        if len(found) > 1 and not exact:
            known = "".join([f" '--{name}'" for name, _ in found])
            return self._complain(f"option '--{word}' is ambiguous; possibilities:{known}")
        name, letter = (exact or found)[0]
        if not self._takes_value[letter]:
            if is_joined:
                return self._complain(f"option '--{name}' doesn't allow an argument")
            return letter, ""
        if is_joined:
            return letter, value
        if self._left:
            return letter, self._left.pop(0)
        return self._complain(f"option '--{name}' requires an argument")

    def _complain(self, text: str) -> tuple[str, str]:
        return BAD, f"{self._name}: {text}"
