"""Entry criteria: one comparison of facts and numbers, such as ``pool_size * services <= max_connections``.

Python's own parser reads the text; of its tree only sums, products and one comparison of numbers, texts and names are
let through, so that nothing is ever executed.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from data.facts import Fact, said
from slo.source import ExpressionError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

CriterionState = Literal["met", "missed", "no_data", "not_evaluable"]

_LONGEST = 500
_EXAMPLE = "compare facts with numbers: `seeded_users >= 10000`, `pool_size * services <= max_connections`"
_COMPARE: dict[type[ast.cmpop], tuple[str, Callable[[Fact, Fact], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}
_COMBINE: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class Answer:
    """What a criterion comes to for some facts, and one sentence that says why; ``missing`` are facts not known."""

    state: CriterionState
    reason: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Criterion:
    """One comparison, as written. Equal texts are equal criteria."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Criterion:
        """Read a criterion.

        Raises:
            ExpressionError: it is none; the place is told.
        """
        tree = _tree(text)
        for node, what in _strange(tree):
            raise _error(f"{what} cannot be part of an entry criterion", text, node)
        if not cls(text).names:
            raise _error(f"{quoted(text)} asks for no fact", text, tree)
        return cls(text)

    @property
    def names(self) -> tuple[str, ...]:
        """The facts that it asks for, in order."""
        return tuple(dict.fromkeys(name for name in _names(_tree(self.text)) if name not in _TRUTHS))

    def judge(self, facts: Mapping[str, Fact]) -> Answer:
        """Does it hold? Without one of its facts nobody knows."""
        known = [f"{name} = {said(facts[name])}" for name in self.names if name in facts]
        if missing := tuple(name for name in self.names if name not in facts):
            return Answer("no_data", f"{' and '.join(missing)} not known", missing)
        tree = _tree(self.text)
        sign, compare = _COMPARE[type(tree.ops[0])]
        try:
            left, right = (_value(side, facts) for side in (tree.left, tree.comparators[0]))
            _check_comparable(left, sign, right)
        except _Unfit as error:
            return Answer("not_evaluable", f"{error}: {', '.join(known)}")
        except ArithmeticError as error:
            return Answer("not_evaluable", f"it cannot be computed ({error}): {', '.join(known)}")
        told = f"{said(left)} {sign} {said(right)}"
        of = (
            f" ({', '.join(known)})"
            if any(isinstance(side, ast.BinOp) for side in (tree.left, tree.comparators[0]))
            else ""
        )
        holds = compare(left, right)
        return Answer("met" if holds else "missed", f"{told}{of}" if holds else f"{told} does not hold{of}")


class _Unfit(ValueError):
    """Facts that cannot be compared or computed with."""


def _tree(text: str) -> ast.Compare:
    if len(text) > _LONGEST:
        raise ExpressionError("bad-entry", f"an entry criterion has at most {_LONGEST} characters", (0, len(text)))
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        at = max(min(error.offset or len(text), len(text)) - 1, 0)
        raise ExpressionError(
            "bad-entry", f"{quoted(text)} cannot be read from here on", (at, 1), help=_EXAMPLE
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError("bad-entry", f"{quoted(text)} cannot be read", (0, len(text)), help=_EXAMPLE) from error
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
        raise ExpressionError("bad-entry", f"{quoted(text)} is not one comparison", (0, len(text)), help=_EXAMPLE)
    return tree


def _strange(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    """What is not let through, with a word for it."""
    match node:
        case ast.Compare(left=left, ops=[sign], comparators=[right]):
            if type(sign) not in _COMPARE:
                yield node, "this comparison"
            yield from (found for side in (left, right) for found in _strange(side))
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) not in _COMBINE:
                yield node, "this operator"
            yield from (found for side in (left, right) for found in _strange(side))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            yield from _strange(operand)
        case ast.Constant(value=bool()):
            yield node, f"{node.value!r} (write true or false)"
        case ast.Constant(value=int() | float() | str()) | ast.Name():
            pass
        case ast.Attribute(value=ast.Name() | ast.Attribute()):
            yield from _strange(node.value)
        case _:
            yield node, quoted(ast.unparse(node))


def _names(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Name() | ast.Attribute():
            yield ast.unparse(node)
        case ast.Compare(left=left, comparators=[right]) | ast.BinOp(left=left, right=right):
            yield from (*_names(left), *_names(right))
        case ast.UnaryOp(operand=operand):
            yield from _names(operand)


def _value(node: ast.expr, facts: Mapping[str, Fact]) -> Fact:
    match node:
        case ast.Name() | ast.Attribute():
            name = ast.unparse(node)
            return _TRUTHS[name] if name in _TRUTHS else facts[name]
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=op, operand=operand):
            value = _number(operand, facts)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            return _COMBINE[type(op)](_number(left, facts), _number(right, facts))
    raise AssertionError(ast.dump(node))  # parse() lets nothing else through


def _check_comparable(left: Fact, sign: str, right: Fact) -> None:
    if type(left) is not type(right):
        raise _Unfit(f"{said(left)} and {said(right)} are not of one kind")
    if not all(math.isfinite(side) for side in (left, right) if isinstance(side, float)):
        raise _Unfit("it comes to no finite number")
    if not isinstance(left, float) and sign not in {"==", "!="}:
        raise _Unfit(f"{said(left)} is not a number")


def _number(node: ast.expr, facts: Mapping[str, Fact]) -> float:
    value = _value(node, facts)
    if not isinstance(value, float):
        raise _Unfit(f"{said(value)} is not a number")
    return value


def _error(message: str, text: str, node: ast.expr) -> ExpressionError:
    """At the node's place; Python counts bytes, we count characters."""
    raw = text.strip().encode()
    start = len(raw[: node.col_offset].decode())
    length = len(raw[node.col_offset : node.end_col_offset].decode())
    return ExpressionError("bad-entry", message, (start, max(1, length)), help=_EXAMPLE)
