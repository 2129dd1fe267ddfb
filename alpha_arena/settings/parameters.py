"""What a component takes: names, types, bounds and units, read from its pydantic fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}
BOUNDS = {"ge": ">= {0:g}", "gt": "> {0:g}", "le": "<= {0:g}", "lt": "< {0:g}", "multiple_of": "a multiple of {0:g}"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a component.

    Attributes:
        kind: its type in words. bounds: e.g. ">= 2, <= 500", "" for none. unit: "" where it has none.
    """

    name: str
    kind: str
    bounds: str
    unit: str

    @property
    def allowed(self) -> str:
        """Type, bounds and unit in one phrase."""
        unit = f"in {self.unit}" if self.unit else ""
        return ", ".join(part for part in (self.kind, self.bounds, unit) if part)


def fields_of(component: type) -> Mapping[str, FieldInfo]:
    """The pydantic fields of a component class; none if it is not a pydantic dataclass."""
    return getattr(component, "__pydantic_fields__", {})


def parameters(component: type) -> list[Parameter]:
    """A component's parameters in their order."""
    return [parameter(name, field) for name, field in fields_of(component).items()]


def parameter(name: str, field: FieldInfo) -> Parameter:
    """What one field takes."""
    extra = field.json_schema_extra
    unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
    return Parameter(name, _words(field.annotation), ", ".join(_bounds(field)), unit)


def plain_types(field: FieldInfo) -> set[Any]:
    """The types that a field's annotation names: of Optional[int], int and NoneType."""
    return set(_types(field.annotation))


def _types(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _types(part)
    elif get_origin(annotation) is Literal:
        yield from (type(value) for value in get_args(annotation))
    elif hasattr(annotation, "__metadata__"):
        yield from _types(annotation.__origin__)
    else:
        yield get_origin(annotation) or annotation


def choices(field: FieldInfo) -> list[str]:
    """What a field that names its values may be; empty for others."""
    return [str(value) for value in get_args(field.annotation)] if get_origin(field.annotation) is Literal else []


def _words(annotation: Any) -> str:
    if hasattr(annotation, "__metadata__"):
        return _words(annotation.__origin__)
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(_words(part) for part in get_args(annotation))
    origin = get_origin(annotation) or annotation
    return WORDS.get(origin, getattr(origin, "__name__", str(origin)))


def _bounds(field: FieldInfo) -> Iterator[str]:
    for rule in _rules(field):
        for name, form in BOUNDS.items():
            if (limit := getattr(rule, name, None)) is not None:
                yield form.format(limit)


def _rules(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    # of Optional[Annotated[...]] the bounds stand inside
    for part in get_args(field.annotation):
        for rule in getattr(part, "__metadata__", ()):
            yield from getattr(rule, "metadata", [rule])
