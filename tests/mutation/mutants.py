"""All small changes of a module, as trees that can be compiled."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}

TYPE_CHECKING_NAME = "TYPE_CHECKING"


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    module: str
    """Dotted, as it is imported."""
    where: str
    """The class and the function, or "(module)"."""
    change: str
    number: int
    """Among those of the same place that read the same, from 0."""
    lines: tuple[int, int]
    """The first and the last line of what is changed."""
    path: tuple[tuple[str, int], ...]
    """From the module to the node: fields, and places in them (-1: it is no list)."""
    kind: str

    @property
    def name(self) -> str:
        """What it is called: it stays the same when lines above it move."""
        again = f" #{self.number + 1}" if self.number else ""
        return f"{self.module.rpartition('.')[2]}.{self.where}: {self.change}{again}"


def mutants_of(module: str, source: str) -> list[Mutant]:
    """All there are, in the order of the source. Annotations, docstrings, imports and what only
    the type checker reads are left as they are."""
    found: list[Mutant] = []
    counts: dict[tuple[str, str], int] = {}
    for node, path, where in _walk(ast.parse(source), (), ()):
        for kind, replacement in _changes(node, path):
            before, after = _text(node), _text(replacement)
            change = f"`{before}` → `{after}`"
            place = ".".join(where) or "(module)"
            number = counts.get((place, change), 0)
            counts[place, change] = number + 1
            first = getattr(node, "lineno", 0) or getattr(_pattern_of(node), "lineno", 0)
            last = getattr(node, "end_lineno", first) or first
            if isinstance(node, ast.match_case):
                last = node.pattern.end_lineno
            elif isinstance(node, ast.stmt) and hasattr(node, "body"):
                last = first
            found.append(Mutant(module, place, change, number, (first, last), path, kind))
    return found


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """The module with this change."""
    tree = ast.parse(source)
    owner: ast.AST = tree
    for field, place in mutant.path[:-1]:
        owner = getattr(owner, field) if place < 0 else getattr(owner, field)[place]
    field, place = mutant.path[-1]
    node = getattr(owner, field) if place < 0 else getattr(owner, field)[place]
    new = dict(_changes(node, mutant.path))[mutant.kind]
    ast.copy_location(new, node)
    if place < 0:
        setattr(owner, field, new)
    else:
        getattr(owner, field)[place] = new
    return ast.fix_missing_locations(tree)


def _pattern_of(node: ast.AST) -> ast.AST | None:
    return node.pattern if isinstance(node, ast.match_case) else None


def _text(node: ast.AST) -> str:
    """How it reads, on one line."""
    if isinstance(node, ast.match_case):
        guard = f" if {ast.unparse(node.guard)}" if node.guard else ""
        return f"case {ast.unparse(node.pattern)}{guard}"
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = repr(node.value)
    elif isinstance(node, ast.If | ast.While):
        text = f"{'if' if isinstance(node, ast.If) else 'while'} {ast.unparse(node.test)}"
    else:
        text = ast.unparse(node)
    return " ".join(text.split()).replace("`", "'").replace("|", "¦")


Steps = tuple[tuple[str, int], ...]


def _walk(
    node: ast.AST, path: Steps, where: tuple[str, ...]
) -> Iterator[tuple[ast.AST, Steps, tuple[str, ...]]]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        where = (*where, node.name)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "ctx", "kwd_attrs", "type_params"):
            continue
        children = value if isinstance(value, list) else [value]
        for number, child in enumerate(children):
            if not isinstance(child, ast.AST) or _is_left(child):
                continue
            place = (*path, (field, number if isinstance(value, list) else -1))
            yield child, place, where
            yield from _walk(child, place, where)


def _is_left(node: ast.AST) -> bool:
    """Whether it and all in it stay as they are."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="TYPE_CHECKING")]):
            return True
    return False


def _changes(node: ast.AST, path: Steps) -> Iterator[tuple[str, ast.AST]]:
    """Each a kind, and what stands in the place of the node."""
    in_fstring = len(path) > 1 and path[-1][0] == "format_spec"
    match node:
        case ast.Constant(value=bool(value)):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield "constant", ast.Constant(value + 1)
        case ast.Constant(value=str(value)) if not in_fstring:
            yield "constant", ast.Constant(f"XX{value}")
        case ast.Constant(value=None) if path[-1][0] == "value" or path[-1][0] == "defaults":
            yield "constant", ast.Constant(1)
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            new = copy.deepcopy(node)
            new.ops = [COMPARISONS[type(op)]()]
            yield "compare", new
        case ast.BoolOp():
            new_bool = copy.deepcopy(node)
            new_bool.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
            yield "boolean", new_bool
            for number in range(len(node.values)):
                rest = [it for at, it in enumerate(node.values) if at != number]
                fewer = copy.deepcopy(node)
                fewer.values = copy.deepcopy(rest)
                yield f"drop {number}", fewer if len(rest) > 1 else copy.deepcopy(rest[0])
        case ast.UnaryOp(op=ast.Not()):
            yield "not", copy.deepcopy(node.operand)
        case ast.UnaryOp(op=ast.USub()):
            yield "minus", copy.deepcopy(node.operand)
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            new_op = copy.deepcopy(node)
            new_op.op = OPERATORS[type(op)]()
            yield "operator", new_op
        case ast.AugAssign(op=op) if type(op) in OPERATORS:
            new_augmented = copy.deepcopy(node)
            new_augmented.op = OPERATORS[type(op)]()
            yield "operator", new_augmented
            yield "delete", ast.Pass()
        case ast.If() | ast.While():
            new_if = copy.deepcopy(node)
            new_if.test = ast.UnaryOp(ast.Not(), new_if.test)
            yield "test", new_if
        case ast.IfExp():
            yield "then", copy.deepcopy(node.body)
            yield "else", copy.deepcopy(node.orelse)
        case ast.match_case(guard=guard) if guard is not None:
            unguarded = copy.deepcopy(node)
            unguarded.guard = None
            yield "unguarded", unguarded
            never = copy.deepcopy(node)
            never.guard = ast.Constant(False)
            yield "never", never
        case ast.match_case(pattern=pattern) if not _is_wildcard(pattern):
            never = copy.deepcopy(node)
            never.guard = ast.Constant(False)
            yield "never", never
        case ast.MatchOr():
            for number in range(len(node.patterns)):
                rest_of = [it for at, it in enumerate(node.patterns) if at != number]
                fewer_or = copy.deepcopy(node)
                fewer_or.patterns = copy.deepcopy(rest_of)
                one = copy.deepcopy(rest_of[0])
                yield f"drop {number}", fewer_or if len(rest_of) > 1 else one
        case ast.Expr(value=ast.Call()) | ast.Delete() | ast.Raise():
            yield "delete", ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "delete", ast.Pass()
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield "return", ast.Return(ast.Constant(None))
        case ast.Break():
            yield "loop", ast.Continue()
        case ast.Continue():
            yield "loop", ast.Break()


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_wildcard(pattern: ast.AST) -> bool:
    return isinstance(pattern, ast.MatchAs) and pattern.pattern is None
