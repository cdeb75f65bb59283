"""A shell's words and operators, as far as it takes to see what a line would have a shell do."""

from __future__ import annotations

from initpy.core.values import Value

MAX_CHARS = 4 * 1024
"""Of a script; a longer one is not judged."""

_OPERATORS = ("&>>", "<<<", "<<-", "&&", "||", ";;", "|&", "&>", ">>", ">&", "<<", "<&", "<>", ">|")
_SINGLE = frozenset("|;&<>()\n")
_ENDS_WORD = frozenset(" \t|;&<>()\n")

_RESERVED = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "for",
        "while",
        "until",
        "do",
        "done",
        "case",
        "esac",
        "select",
        "function",
        "coproc",
        "{",
        "}",
        "!",
        "[[",
    ]
)
"""What begins (or goes on with) a compound command."""


class Token(Value):
    """A word or an operator, at `start` to `end` of the text."""

    text: str
    """Of a word: without its quotes."""
    is_operator: bool
    start: int
    end: int


class Script(Value):
    """A script that is a flat list of simple commands."""

    commands: tuple[tuple[str, ...], ...]
    joints: tuple[str, ...]
    """The operator after each command, empty after the last if there is none."""
    is_redirected: bool
    """The last command is."""


def tokens(text: str) -> list[Token]:
    """The words and operators of `text`; comments are left out."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in " \t":
            at += 1
        elif char == "#":
            end = text.find("\n", at)
            at = len(text) if end == -1 else end
        elif text.startswith("\\\n", at):
            at += 2
        elif char in _SINGLE:
            operator = next((it for it in _OPERATORS if text.startswith(it, at)), char)
            start = at
            at += len(operator)
            before = found[-1] if found else None
            if before and before.end == start and before.text.isdecimal() and char in "<>":
                found.pop()  # 2> is one operator
                start = before.start
            found.append(Token(text[start:at], True, start, at))
        else:
            word, end = _word(text, at)
            found.append(Token(word, False, at, end))
            at = end
    return found


def script(text: str) -> Script | None:
    """The commands of a script; None: it is more than a flat list of them, or too long."""
    if len(text) > MAX_CHARS:
        return None
    commands: list[tuple[str, ...]] = []
    joints: list[str] = []
    words: list[str] = []
    is_target = is_redirected = False
    for token in tokens(text):
        if not token.is_operator:
            if not words and token.text in _RESERVED and not is_target:
                return None
            if not is_target:
                words.append(token.text)
            is_target = False
        elif token.text.endswith(("(", ")", ";;")) or "<<" in token.text:
            return None
        elif "<" in token.text or ">" in token.text:
            is_target = is_redirected = True
        elif words:
            commands.append(tuple(words))
            joints.append(token.text)
            words, is_redirected = [], False
    if words:
        commands.append(tuple(words))
        joints.append("")
    return Script(tuple(commands), tuple(joints), is_redirected)


def ends_in_background(text: str) -> bool:
    """The last thing in the script is a `&`."""
    if "&" not in text[-MAX_CHARS:] or len(text) > MAX_CHARS:
        return False
    found = [token for token in tokens(text) if token.text not in ("\n", ")", "}")]
    return bool(found) and found[-1].is_operator and found[-1].text == "&"


def _word(text: str, at: int) -> tuple[str, int]:
    """The word at `at` and where it ends. What a shell would expand stays as it is."""
    parts: list[str] = []
    while at < len(text) and text[at] not in _ENDS_WORD:
        char = text[at]
        if char == "\\":
            parts.append(text[at + 1 : at + 2])
            at += 2
        elif char == "'":
            end = _find(text, "'", at + 1)
            parts.append(text[at + 1 : end])
            at = end + 1
        elif char == '"':
            part, at = _double_quoted(text, at + 1)
            parts.append(part)
        elif char == "`" or text.startswith(("$(", "${"), at):
            end = _end_of_expansion(text, at)
            parts.append(text[at:end])
            at = end
        else:
            parts.append(char)
            at += 1
    return "".join(parts), min(at, len(text))


def _double_quoted(text: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\", "$", "`"):
            at += 1
        elif text.startswith(("`", "$(", "${"), at):
            end = _end_of_expansion(text, at)
            parts.append(text[at:end])
            at = end
            continue
        parts.append(text[at : at + 1])
        at += 1
    return "".join(parts), at + 1


def _end_of_expansion(text: str, at: int) -> int:
    """Behind the `$(…)`, `${…}` or backquotes that begin at `at`; quotes in it are not seen."""
    if text[at] == "`":
        return _find(text, "`", at + 1) + 1
    opening, closing = text[at + 1], ")" if text[at + 1] == "(" else "}"
    depth = 0
    for end in range(at + 1, len(text)):
        depth += (text[end] == opening) - (text[end] == closing)
        if depth == 0:
            return end + 1
    return len(text)


def _find(text: str, what: str, at: int) -> int:
    found = text.find(what, at)
    return len(text) if found == -1 else found
