"""A mutant: one expression of one function made wrong, addressed by what it means and not by its line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Defined = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class AddressError(Exception):
    """A mutant's function or expression is not there, or not once."""


@dataclass(frozen=True)
class Mutant:
    """One expression or statement, made wrong.

    Parameters
    ----------
    name
        What is wrong then.
    at
        Module and function, as ``algorithms.coding.sizes:lg`` or ``module:Class.method``; ``module:`` for a statement
        outside of all functions.
    old
        An expression or a statement that stands once in the function, however it is laid out; ``if x:`` is the
        condition of that statement.
    new
        What replaces it.
    tests
        Files and tests that notice, as pytest names them.
    """

    name: str
    at: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def file(self) -> str:
        """The file, relative to the project."""
        return f"{self.at.partition(':')[0].replace('.', '/')}.py"

    def apply(self, text: str) -> str:
        """The file's text with the mutant in it.

        Raises
        ------
        AddressError
            If the function is not there, or the expression does not stand in it exactly once.
        """
        found = [node for node in self._nodes(ast.parse(text)) if self._is_meant(node)]
        if len(found) != 1:
            raise AddressError(f"{self.name}: {self.old!r} stands {len(found)} times in {self.at}")
        node = found[0].test if isinstance(found[0], ast.If | ast.While) and self.old.endswith(":") else found[0]
        lines = text.encode().splitlines(keepends=True)
        start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
        end = sum(map(len, lines[: (node.end_lineno or 1) - 1])) + (node.end_col_offset or 0)
        new = self.new.removeprefix("if ").removesuffix(":") if self.old.endswith(":") else self.new
        new = f"({new})" if isinstance(node, ast.expr) else new
        data = text.encode()
        return (data[:start] + new.encode() + data[end:]).decode()

    def _nodes(self, tree: ast.Module) -> Iterator[ast.expr | ast.stmt]:
        scope: Scope = tree
        names = [name for name in self.at.partition(":")[2].split(".") if name]
        for name in names:
            inner = [n for n in ast.walk(scope) if isinstance(n, Defined) and n.name == name]
            if not inner:
                raise AddressError(f"{self.name}: there is no {self.at}")
            scope = inner[0]
        return _inside(scope, bool(names))

    def _is_meant(self, node: ast.expr | ast.stmt) -> bool:
        if self.old.endswith(":"):
            (wanted,) = ast.parse(f"{self.old} pass").body
            return isinstance(node, ast.If) and isinstance(wanted, ast.If) and _same(node.test, wanted.test)
        (statement,) = ast.parse(self.old).body
        return _same(node, statement.value if isinstance(statement, ast.Expr) else statement) or _same(node, statement)


def _inside(scope: ast.AST, with_functions: bool) -> Iterator[ast.expr | ast.stmt]:
    """Expressions and statements, outermost first; of a module those outside of its functions."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, Defined) and not with_functions:
            continue
        # A statement that is one expression is named by the expression.
        if isinstance(child, ast.expr | ast.stmt) and not isinstance(child, ast.Expr):
            yield child
        yield from _inside(child, with_functions)


def _same(a: ast.AST, b: ast.AST) -> bool:
    return ast.dump(a) == ast.dump(b)
