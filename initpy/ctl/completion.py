"""`initpy completion SHELL`: what makes the shell complete initpy's commands and the names."""

from __future__ import annotations

import sys

from initpy.ctl import exits
from initpy.ctl.arguments import VERBS

WITHOUT_NAMES = ("events", "reread", "reload", "version", "shutdown", "completion")

OTHERS = {
    "run": "run programs without a file",
    "check": "say what is wrong with a file",
    "convert": "make TOML of a supervisord.conf or a Procfile",
    "upgrade": "have a running initpy go on with the one installed now",
    "hash-password": "what the configuration can have in the place of a password",
}

SIGNALS = "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH"

BASH = """\
_initpy() {{
    # Names have colons, at which readline splits: the word is not the last of COMP_WORDS.
    local word=${{COMP_LINE:0:COMP_POINT}} verb=${{COMP_WORDS[1]}} names= IFS=$' \\t\\n'
    word=${{word##* }}
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
        return
    fi
    case $verb in
        check | convert)
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "$word"))
            return
            ;;
        completion) names="bash zsh fish" ;;
        signal) [ "$COMP_CWORD" -gt 2 ] || names="{signals}" ;;
        {without}) return ;;
    esac
    [ -n "$names" ] || names="all $(initpy status --names 2>/dev/null)"
    COMPREPLY=($(compgen -W "$names" -- "$word"))
    case $COMP_WORDBREAKS in
        *:*) COMPREPLY=("${{COMPREPLY[@]#"${{word%"${{word##*:}}"}}"}}") ;;
    esac
}}
complete -F _initpy initpy
"""

ZSH = """\
#compdef initpy
_initpy() {{
    local -a commands names
    commands=(
{described}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    case $words[2] in
        check | convert) _files; return ;;
        completion) names=(bash zsh fish) ;;
        signal) (( CURRENT > 3 )) || names=({signals}) ;;
        {without}) return ;;
    esac
    (( $#names )) || names=(all ${{(f)"$(initpy status --names 2>/dev/null)"}})
    compadd -a names
}}
if [ "$funcstack[1]" = _initpy ]; then
    _initpy "$@"
else
    compdef _initpy initpy
fi
"""

FISH = """\
complete -c initpy -f
{described}
complete -c initpy -n '__fish_seen_subcommand_from check convert' -F
complete -c initpy -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
function __initpy_wants_signal
    __fish_seen_subcommand_from signal; and test (count (commandline -opc)) -eq 2
end
complete -c initpy -n __initpy_wants_signal -a '{signals}'
complete -c initpy -n '__fish_seen_subcommand_from signal; and not __initpy_wants_signal' \
-a 'all (initpy status --names 2>/dev/null)'
complete -c initpy -n '__fish_seen_subcommand_from {with_names}' \
-a 'all (initpy status --names 2>/dev/null)'
"""


def main(shell: str) -> int:
    sys.stdout.write(script(shell))
    return exits.OK


def script(shell: str) -> str:
    """The text for bash, zsh or fish."""
    commands = {**VERBS, **OTHERS}
    without = " | ".join((*WITHOUT_NAMES[:-1], "run", "upgrade", "hash-password"))
    if shell == "bash":
        return BASH.format(commands=" ".join(commands), signals=SIGNALS, without=without)
    texts = {name: text.replace("'", "").replace(":", ",") for name, text in commands.items()}
    if shell == "zsh":
        described = "\n".join([f"        '{name}:{text}'" for name, text in texts.items()])
        return ZSH.format(described=described, signals=SIGNALS, without=without)
    described = "\n".join(
        [
            f"complete -c initpy -n __fish_use_subcommand -a {name} -d '{text}'"
            for name, text in texts.items()
        ]
    )
    with_names = " ".join([verb for verb in VERBS if verb not in (*WITHOUT_NAMES, "signal")])
    return FISH.format(described=described, signals=SIGNALS, with_names=with_names)
