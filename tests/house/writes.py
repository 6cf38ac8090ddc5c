"""Finds every write to the database in the code, and whether it stands behind the governed door.

The rule. A write is a call of the ORM that changes rows, or SQL that is no plain SELECT (but for modules that ask
DuckDB in memory and import nothing of Django or psycopg2). It may stand in
- a function decorated `@governed` or `@mechanical`, or
- a bare function (or method) that is mentioned only within such functions, or within other bare ones like it.
Whoever mentions a bare writing function from elsewhere (a view, a module's top level, a class body) breaks the rule,
and so does a bare writing function that nobody mentions. Views, APIs, forms, URLs, tasks and pages hold no writes.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "ledger", "jobs", "notifications", "accounts", "audits", "registry", "fairness", "approvals", "inference", "portal",
)  # fmt: skip
# The door itself, and what works before there is a door: servers started, roles and grants made by the administrator.
DOOR = {"ledger.door.governed"}
OUTSIDE = ("portal.supervisor", "ledger.management.commands.provision_roles")
TRANSLATORS = re.compile(r"(^|\.)(views|api|forms|urls|tasks|pages|filters|serializers)(\.|$)")

ORM = {
    "save", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "delete", "asave", "acreate",
    "abulk_create", "aupdate", "adelete", "aget_or_create", "aupdate_or_create", "_raw_delete",
}  # fmt: skip
MANY = {"add", "remove", "set", "clear"}
SQL = {"execute", "executemany", "copy_expert", "copy_from", "callproc", "execute_values", "execute_batch"}
HARMLESS = re.compile(r"\s*(SELECT|SHOW|SET (LOCAL )?(TRANSACTION|SESSION)|SET LOCAL|EXPLAIN|LISTEN)\b", re.IGNORECASE)
NOT_ROWS = {"cache", "storage", "default_storage", "session"}


@dataclass
class Function:
    name: str  # module.qualname of the outermost function or method
    marked: bool = False
    writes: list[int] = field(default_factory=list)
    mentions: set[str] = field(default_factory=set)


def sources() -> dict[str, str]:
    """Text of every module of the project by dotted name, without migrations."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "migrations" not in parts:
                found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """All of `ast.walk`, once for the several rules that look at the same modules."""
    return tuple(ast.walk(tree))


def many_to_many(trees: Mapping[str, ast.Module]) -> set[str]:
    """Names of many-to-many fields: `.add` and `.set` on these are writes."""
    return {
        target.id
        for tree in trees.values()
        for node in nodes(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute) and node.value.func.attr == "ManyToManyField"
        for target in node.targets
        if isinstance(target, ast.Name)
    }  # fmt: skip


def asks_duckdb(tree: ast.Module) -> bool:
    imported = {
        name.partition(".")[0]
        for node in nodes(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    return bool(imported & {"duckdb", "ibis"}) and not imported & {"django", "psycopg2"}


def constants(tree: ast.Module) -> dict[str, str]:
    """Texts with a name at the module's top level: the statements of longer queries."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def is_write(call: ast.Call, m2m: set[str], known: Mapping[str, str]) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    act, owner = call.func.attr, call.func.value
    last = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    if act in ORM:
        return last not in NOT_ROWS
    if act == "update":  # of dicts and hashes, it takes one positional argument
        return bool(call.keywords) and not call.args and last != "environ"
    if act in MANY:
        return last in m2m
    if act in SQL:
        text = call.args[0] if call.args else None
        if isinstance(text, ast.JoinedStr) and text.values:
            text = text.values[0]
        if isinstance(text, ast.Name) and text.id in known:
            return not HARMLESS.match(known[text.id])
        plain = isinstance(text, ast.Constant) and isinstance(text.value, str) and HARMLESS.match(text.value)
        return not plain
    return False


def is_mark(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
    return name in {"governed", "mechanical"}


class Reader(ast.NodeVisitor):
    """Collects the functions of a module, the writes in each, and what each mentions."""

    def __init__(self, module: str, tree: ast.Module, m2m: set[str]) -> None:
        self.module, self.m2m, self.sql = module, m2m, not asks_duckdb(tree)
        self.constants = constants(tree)
        self.known: dict[str, str] = {}  # local name → what it stands for
        self.functions: dict[str, Function] = {}
        self.top = Function(f"{module}.<top level>")
        self.here = self.top
        self.classes: list[str] = []
        self.imports(tree)
        self.visit(tree)

    def imports(self, tree: ast.Module) -> None:
        package = self.module.split(".")
        for node in nodes(tree):
            if isinstance(node, ast.ImportFrom):
                base = ".".join([*package[: -node.level], node.module or ""]) if node.level else node.module or ""
                for name in node.names:
                    self.known[name.asname or name.name] = f"{base}.{name.name}"
            elif isinstance(node, ast.Import):
                for name in node.names:
                    self.known[name.asname or name.name.partition(".")[0]] = (
                        name.asname and name.name
                    ) or name.name.partition(".")[0]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.known[node.name] = f"{self.module}.{node.name}"

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.classes.append(node.name)
        self.generic_visit(node)
        self.classes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        outer = self.here
        if outer is self.top:
            self.here = Function(".".join([self.module, *self.classes, node.name]))
            self.functions[self.here.name] = self.here
        self.here.marked |= any(map(is_mark, node.decorator_list))
        for child in [node.args, *node.body]:
            self.visit(child)
        self.here = outer

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Call(self, node: ast.Call) -> None:
        asks = isinstance(node.func, ast.Attribute) and node.func.attr in SQL and not self.sql
        if is_write(node, self.m2m, self.constants) and not asks:
            self.here.writes.append(node.lineno)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in self.known:
            self.here.mentions.add(self.known[node.id])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path = self.dotted(node)
        if path:
            self.here.mentions.add(path)
        self.here.mentions.add(f".{node.attr}")
        self.generic_visit(node)

    def dotted(self, node: ast.Attribute) -> str:
        parts: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in self.known:
            return ".".join([self.known[inner.id], *reversed(parts)])
        return ""


def read(texts: Mapping[str, str]) -> tuple[dict[str, Function], list[Function]]:
    """Every function by name, and the top level of every module."""
    trees = {module: parsed(text) for module, text in texts.items()}
    m2m = many_to_many(trees)
    readers = [Reader(module, tree, m2m) for module, tree in trees.items()]
    return {name: one for reader in readers for name, one in reader.functions.items()}, [
        reader.top for reader in readers
    ]


def spellings(name: str, texts: Mapping[str, str]) -> Iterator[str]:
    """How a function is mentioned: by its full name, through a package that shows it, a method by its last part."""
    module = max((known for known in texts if name.startswith(known + ".")), key=len)
    rest = name.removeprefix(module + ".")
    if "." in rest:  # a method
        yield "." + rest.rpartition(".")[2]
        return
    yield name
    while "." in module:
        module = module.rpartition(".")[0]
        yield f"{module}.{rest}"


def violations(texts: Mapping[str, str]) -> list[str]:
    """A sentence for each write outside the door, or no sentence."""
    texts = {name: text for name, text in texts.items() if not name.startswith(OUTSIDE)}
    functions, tops = read(texts)
    found = [f"{top.name}: a write in line {top.writes[0]}" for top in tops if top.writes]
    for one in functions.values():
        if one.writes and TRANSLATORS.search(one.name.rpartition(".")[0]):
            found.append(f"{one.name}: a write in line {one.writes[0]}, where only translation belongs")
    mentioned_by: dict[str, list[Function]] = defaultdict(list)
    for mentioning in [*functions.values(), *tops]:
        for mention in mentioning.mentions:
            mentioned_by[mention].append(mentioning)
    closed = DOOR | {name for name, one in functions.items() if one.marked}
    open_ends = [name for name, one in functions.items() if one.writes and name not in closed]
    why = {name: f"writes in line {functions[name].writes[0]}" for name in open_ends}
    while open_ends:
        name = open_ends.pop()
        callers = {
            caller.name: caller for way in spellings(name, texts) for caller in mentioned_by[way] if caller.name != name
        }
        if not callers:
            found.append(f"{name}: {why[name]}, and nothing governs it")
        for caller in callers.values():
            if caller.name.endswith("<top level>"):
                found.append(f"{caller.name} mentions {name}, which {why[name]}")
            elif caller.name not in closed and caller.name not in why:
                why[caller.name] = f"reaches {name}, which {why[name]}"
                open_ends.append(caller.name)
    return sorted(set(found))
