"""Documents to JSON and back, by their field names."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from data.errors import StoreError

T = TypeVar("T")
_adapters: dict[Any, TypeAdapter[Any]] = {}


def to_json(document: object, *, indent: int | None = None, defaults: bool = True) -> str:
    """A document (or a sequence of one kind) as JSON text; without ``defaults``, only what is not by default."""
    return _adapter(type(document)).dump_json(document, indent=indent, exclude_defaults=not defaults).decode()


def from_json(kind: type[T], text: str | bytes) -> T:
    """A document from JSON text.

    Raises:
        StoreError: the text is not such a document.
    """
    try:
        return _adapter(kind).validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        raise StoreError(f"not a {kind.__name__}: {problem['msg']} at {problem['loc']}") from error


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
