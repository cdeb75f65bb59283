"""What only a shell understands, in a command that is executed without one."""

from __future__ import annotations

from initpy.config.lint.commands import base_name, is_assignment
from initpy.config.lint.shell import MAX_CHARS, tokens
from initpy.config.problems import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from initpy.config.lint.shell import Token

_OPERATORS = frozenset(
    [
        "&&",
        "||",
        "|",
        "|&",
        ";",
        "&",
        ">",
        ">>",
        "<",
        "1>",
        "1>>",
        "2>",
        "2>>",
        "&>",
        "&>>",
        "2>&1",
        "1>&2",
        ">&2",
    ]
)

_REDIRECTIONS = tuple(
    [f"{operator}/" for operator in [">", ">>", "<", "1>", "1>>", "2>", "2>>", "&>", "&>>"]]
)

_TAKES_ANY_WORD = frozenset(
    ["[", "awk", "expr", "fd", "find", "jq", "parallel", "perl", "sed", "test", "watch", "xargs"]
)
"""Commands for which an operator is a word like any other."""

_TAKES_FILES = frozenset(
    [
        "cat",
        "chgrp",
        "chmod",
        "chown",
        "cp",
        "grep",
        "head",
        "less",
        "ls",
        "mv",
        "rm",
        "sort",
        "tail",
        "touch",
        "zcat",
    ]
)
"""Commands that look for no files themselves, but take the shell's word for them."""

_TAKES_CODE = frozenset(("-e", "-E", "-r", "--eval", "--command"))
"""Options behind which there may be a script of some language, as behind any like `-lc`."""

_ELSEWHERE = {
    "cd": "set `directory`",
    "exec": "leave it out, initpy executes the command itself",
    "export": "set `environment`",
    "ulimit": "set `rlimits`",
    "umask": "set `umask`",
}

_NAME_CHARS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
"""Of a variable in an environment, by custom."""

_BUILTINS = frozenset(
    [".", ":", "alias", "eval", "set", "shift", "source", "trap", "unset", "wait"]
)

CALL_ONE = 'leave it out, or call a shell: ["sh", "-c", "…"]'


def for_a_shell(command: object) -> Iterator[str]:
    """What is wrong with a command as the file has it, a string or a list: at most one thing."""
    if isinstance(command, str):
        yield from _in_string(command[:MAX_CHARS])
    elif isinstance(command, list):
        yield from _in_list([word for word in command if isinstance(word, str)])


def instead_of_builtin(word: str) -> str:
    """What to do instead of a command that is only there in a shell; empty: it is another."""
    if is_assignment(word):
        return "set `environment`"
    if word in _ELSEWHERE:
        return _ELSEWHERE[word]
    return 'call a shell: ["sh", "-c", "…"]' if word in _BUILTINS else ""


def _in_string(text: str) -> Iterator[str]:
    found = tokens(text)
    name = base_name(found[0].text) if found else ""
    for number, token in enumerate(found):
        if token.is_operator and name not in _TAKES_ANY_WORD and _is_meant(text, token):
            yield _no_shell(token.text, is_last=number == len(found) - 1)
            return
    before = ""
    for token in found:
        raw = text[token.start : token.end]
        if not token.is_operator and not _takes_code(before) and "'" not in raw and "\\" not in raw:
            for said in _in_word(token.text, raw, name):
                yield said
                return
        before = token.text


def _is_meant(text: str, token: Token) -> bool:
    """The operator is no part of a word such as `a=1&b=2`: there is a blank at a side of it, or of
    a redirection before it."""
    if token.text in ("(", ")", "\n"):
        return False
    is_redirection = "<" in token.text or ">" in token.text
    before, after = text[max(token.start - 1, 0) : token.start], text[token.end : token.end + 1]
    return before in ("", " ", "\t") or (not is_redirection and after in ("", " ", "\t"))


def _in_list(words: Sequence[str]) -> Iterator[str]:
    if not words:
        return
    name = base_name(words[0])
    if name in _TAKES_ANY_WORD:
        return
    for number, word in enumerate(words):
        if number and _takes_code(words[number - 1]):
            continue
        if word in _OPERATORS or word.startswith(_REDIRECTIONS):
            yield _no_shell(word, is_last=number == len(words) - 1)
            return
        for said in _in_word(word, word, name):
            yield said
            return


def _in_word(word: str, raw: str, name: str) -> Iterator[str]:
    """What a shell would have put in the place of (a part of) a word; `raw` has its quotes."""
    if (word[:2], word[-1:]) == ("$(", ")") or (word[:1], word[1:][-1:]) == ("`", "`"):
        yield f"{shown(word)} is for a shell, and there is none: {CALL_ONE}"
    elif variable := _variable(word):
        yield f"${variable} stays as it is, for there is no shell: write ${{{variable}}}"
    elif "*" in word and '"' not in raw and name in _TAKES_FILES and word[:1] != "-":
        yield (
            f"{name} gets {shown(word)} as it is, for there is no shell that would look for the "
            'files: call one: ["sh", "-c", "…"]'
        )


def _takes_code(option: str) -> bool:
    return option in _TAKES_CODE or (
        option[:1] == "-" and option[1:2] != "-" and option[-1:] == "c"
    )


def _variable(word: str) -> str:
    """The NAME of a `$NAME` that is all of a word, or begins behind `=` or `:`, or before `/`."""
    at = word.find("$")
    while at != -1:
        end = at + 1
        while end < len(word) and word[end] in _NAME_CHARS:
            end += 1
        name = word[at + 1 : end]
        begins = at == 0 or word[at - 1] in "=:/@,"
        ends = end == len(word) or word[end] in ":/,@"
        if begins and ends and name.isidentifier():
            return name
        at = word.find("$", end)
    return ""


def _no_shell(operator: str, *, is_last: bool) -> str:
    if operator == "&" and is_last:
        return '"&" is only one more word for the program, for there is no shell: leave it out'
    return f"{shown(operator)} is for a shell, and there is none: {CALL_ONE}"
