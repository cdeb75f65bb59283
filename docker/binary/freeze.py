"""Writes the C source of the frozen modules: initpy, and of the standard library what it imports;
and the list of the modules in C that these import.

    python3.11 -I -S freeze.py PACKAGE OUTPUT.c

To be run by the Python whose library is linked: its bytecode is what that understands. In the
standard library only imports outside of functions count, since those in functions are mostly for
what nobody does here; in initpy, all count.
"""

from __future__ import annotations
import __future__

import _sre
import array
import ast
import importlib
import marshal
import re
import re._compiler as re_compiler
import sys
import tempfile
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_ITS_PLACE = Path(__file__).resolve().parent / "library"
"""Modules of ours that are frozen under the names of the standard library's."""

ALWAYS = (
    "importlib._bootstrap",
    "importlib._bootstrap_external",
    "zipimport",
    "encodings",
    "encodings.aliases",
    "encodings.utf_8",
    "encodings.latin_1",
    "encodings.ascii",
    "abc",
    "codecs",
    "io",
    "re",
)
"""What CPython itself imports in its start."""

BOOTSTRAP = {
    "importlib._bootstrap": "_frozen_importlib",
    "importlib._bootstrap_external": "_frozen_importlib_external",
}
"""Names under which CPython looks for them."""

IN_FUNCTIONS = {
    "argparse": ("shutil", "textwrap"),
    "pathlib": ("glob",),
}
"""Imports in functions of the standard library, by module, that initpy gets to."""

NEVER = frozenset(
    {"ctypes", "doctest", "site", "pwd", "grp", "_py_abc", "initpy.__main__", "initpy.config.docs"}
)
"""Tried and done without; pwd and grp would have the C library ask NSS, by way of dlopen. And two
modules of ours that only run from source."""

PATTERNS = "re._ready"
"""Where library/re looks for patterns that need not be compiled any more."""

SAMPLE = """
[init]
shutdown_timeout = 9.5
[program.web]
command = ["sh", "-c", "echo ${HOME:-/} %(here)s"]
environment = { NAME = "x" }
autorestart = true
after = ["other"]
[program.other]
command = "sleep 1_0"
"""
"""A configuration whose reading meets most regular expressions."""

ALWAYS_BUILT_IN = frozenset({"_ast", "_tokenize", "_codecs", "_io", "_signal", "_thread", "posix"})
"""Those in C that CPython itself imports, or cannot be linked without."""

OURS_IN_C = frozenset(
    {"_imp", "_initpy", "_string", "_warnings", "builtins", "gc", "marshal", "resource", "sys"}
)
"""Listed in interpreter.c."""

ROW_BYTES = 16


def main() -> None:
    package, output = Path(sys.argv[1]), Path(sys.argv[2])
    found: dict[str, Path | None] = {}
    _close(package, found)
    built_in = {name for name, path in found.items() if path is None}
    modules = [
        (name, path.name == "__init__.py", path.read_bytes())
        for name, path in found.items()
        if path is not None
    ]
    modules.sort()
    patterns = _ready_patterns(package, [(name, source) for name, _, source in modules])
    modules.append((PATTERNS, False, patterns))
    output.write_text(_c_source(modules, sorted((built_in | ALWAYS_BUILT_IN) - OURS_IN_C)))


def _close(package: Path, found: dict[str, Path | None]) -> None:
    """Find all modules that are needed, with their files; None: it is one in C."""
    own = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts): path
        for path in package.rglob("*.py")
    }
    own = {name.removesuffix(".__init__"): path for name, path in own.items()}
    wanted = [*own, *ALWAYS]
    while wanted:
        name = wanted.pop()
        if name in found or name in NEVER:
            continue
        if name in sys.builtin_module_names:
            found[name] = None
            continue
        path = own.get(name) or _in_standard_library(name)
        if path is None:  # a name in a module, or one that is tried and done without
            continue
        found[name] = path
        is_package = path.name == "__init__.py"
        deep = name in own or IN_ITS_PLACE in path.parents
        tree = ast.parse(path.read_bytes())
        for module in _imports(tree, name, is_package=is_package, deep=deep):
            parts = module.split(".")  # a package's own module comes with it
            wanted += [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
        wanted += IN_FUNCTIONS.get(name, ())


def _in_standard_library(name: str) -> Path | None:
    """The file of a module, if there is such a module."""
    if name.partition(".")[0] not in sys.stdlib_module_names:
        return None
    for folder in (IN_ITS_PLACE, Path(ast.__file__).parent):
        where = folder.joinpath(*name.split("."))
        for path in (where / "__init__.py", where.parent / f"{where.name}.py"):
            if path.exists():
                return path
    return None


def _ready_patterns(package: Path, sources: list[tuple[str, bytes]]) -> bytes:
    """A module's source: all arguments of _sre.compile, by those of re.compile, for the patterns
    that are compiled when the modules are imported, or when the sample is read."""
    found: dict[tuple[str | bytes, int], tuple[object, ...]] = {}
    compile_pattern = re_compiler.compile
    in_c = vars(_sre).copy()
    given: list[tuple[str | bytes, int]] = []

    def record(pattern: str | bytes, flags: int = 0) -> re.Pattern[Any]:
        given.append((pattern, int(flags)))
        return compile_pattern(pattern, flags)

    def record_in_c(*arguments: Any) -> re.Pattern[Any]:
        _, flags, code, groups, group_index, index_group = arguments
        raw = array.array("I", code).tobytes()
        found[given[-1]] = (int(flags), raw, groups, dict(group_index), index_group)
        return in_c["compile"](*arguments)

    re_compiler._sre = types.SimpleNamespace(**in_c | {"compile": record_in_c})
    re.purge()
    re_compiler.compile = record
    re.compile("")
    sys.path.insert(0, str(package.parent))
    for name, source in sources:
        if b"re.compile(" in source and name.partition(".")[0] != "re":
            sys.modules.pop(name, None)  # once more, if it is there already
            importlib.import_module(name)
    load = importlib.import_module("initpy.config.loading").load

    with tempfile.NamedTemporaryFile("w", suffix=".toml") as sample:
        sample.write(SAMPLE)
        sample.flush()
        load(sample.name, {})
    table = "".join(f"    {key!r}: {found[key]!r},\n" for key in sorted(found, key=repr))
    return f"PATTERNS = {{\n{table}}}\n".encode()


def _imports(tree: ast.AST, own: str, *, is_package: bool, deep: bool) -> Iterator[str]:
    """The names that might be modules in the import statements of a module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _imports(other, own, is_package=is_package, deep=deep)
        elif isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
            continue
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = own.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, *([base] if base else [])])
            yield base
            for alias in node.names:
                yield f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "__import__":
            if node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)
        elif deep or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _imports(node, own, is_package=is_package, deep=deep)


def _compiled(name: str, source: bytes) -> types.CodeType:
    """The code of a module. `from __future__ import annotations` goes to the compiler, and is left
    out of it: it would import one module more."""
    tree = ast.parse(source)
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            flags |= sum(getattr(__future__, alias.name).compiler_flag for alias in node.names)
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    return compile(tree, f"<frozen {name}>", "exec", flags, dont_inherit=True, optimize=2)


def _c_source(frozen: list[tuple[str, bool, bytes]], built_in: list[str]) -> str:
    """Tables for interpreter.c: `modules`, in the form of CPython's Python/frozen.c, and
    BUILT_INS."""
    arrays, rows = [], []
    for number, (name, is_package, source) in enumerate(frozen):
        code = _compiled(name, source)
        # Once more through marshal, or which objects are shared depends on the compiler's past.
        marshalled = marshal.dumps(marshal.loads(marshal.dumps(code)))  # noqa: S302
        arrays.append(f"static const unsigned char m{number}[] = {{ /* {name} */")
        for at in range(0, len(marshalled), ROW_BYTES):
            arrays.append("".join(f"{byte}," for byte in marshalled[at : at + ROW_BYTES]))
        arrays.append("};")
        c_name = BOOTSTRAP.get(name, name)
        rows.append(f'    {{"{c_name}", m{number}, sizeof m{number}, {int(is_package)}, 0}},')
    return "\n".join(
        [
            "/* Made by freeze.py. */",
            *arrays,
            "static const struct _frozen modules[] = {",
            *rows,
            "    {0},",
            "};",
            "#define BUILT_INS \\",
            *[f"    BUILT_IN({name}) \\" for name in built_in],
            "",
            "",
        ]
    )


main()
