"""The options in a command's words, as getopt or its like would find them."""

from __future__ import annotations


class Options:
    """The words of a command after its name."""

    def __init__(self, arguments: tuple[str, ...], short: str | None = "") -> None:
        """`short`: the letters of the options that take an argument; None: a word behind a single
        dash is one option."""
        self.first = arguments[0] if arguments and not arguments[0].startswith("-") else ""
        """The first word, if it is no option."""
        self.operands: list[str] = []
        self._words: set[str] = set()
        self._values: dict[str, list[str]] = {}
        at = 0
        while at < len(arguments) and arguments[at] != "--":
            word = arguments[at]
            following = arguments[at + 1] if at + 1 < len(arguments) else None
            at += 1
            if not word.startswith("-") or word == "-":
                self.operands.append(word)
                self._words.add(word)
            elif word.startswith("--"):
                name, equals, value = word.partition("=")
                self._add(name, value if equals else following, "=")
            elif short is None:
                self._add(word, following, "")
            else:
                at += self._add_letters(word[1:], following, short)

    def has(self, words: str) -> str:
        """The first of `words` (separated by spaces) that is there; empty: none is.

        `--name=value` is there as `--name value`, too, and `-k start` also as `-kstart`.
        """
        return next((word for word in words.split() if word in self._words), "")

    def values(self, names: str) -> list[str]:
        """The arguments of these options, or what may be their arguments."""
        return [value for name in names.split() for value in self._values.get(name, ())]

    def _add(self, name: str, value: str | None, glue: str) -> None:
        self._words.add(name)
        if value is not None:
            self._words.add(f"{name}{glue}{value}")
            self._values.setdefault(name, []).append(value)

    def _add_letters(self, letters: str, following: str | None, short: str) -> int:
        """A word such as `-vf` or `-ffile`. Returns how many words more belong to it."""
        self._words.add(f"-{letters}")
        for number, letter in enumerate(letters, 1):
            rest = letters[number:]
            if letter in short:
                self._add(f"-{letter}", rest or following, "")
                return not rest and following is not None
            self._words.add(f"-{letter}")
        return 0
