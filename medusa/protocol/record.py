"""Records: classes that are made of fields, as by `dataclasses`, but in a fiftieth of the time.

`dataclasses` compiles up to six functions for each class, which takes a millisecond, and imports `inspect`. A program
has some dozens of such classes, and the user waits each time that it starts. So all records share the functions below.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NoReturn, Tuple, TypeVar

_T = TypeVar("_T")
_NONE: Any = object()

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[_T], _T]:
        return lambda decorator: decorator


class _Field:
    def __init__(self, *values: Any) -> None:
        self.default, self.factory, self.metadata, self.shown = values


def field(  # the names are those of dataclasses, because type checkers know them
    *,
    default: Any = _NONE,
    default_factory: Any = None,
    metadata: Any = None,
    repr: bool = True,  # noqa: A002
) -> Any:
    """Returns what stands for a field's default value in a record.

    Args:
        default: the default value.
        default_factory: a function that returns the default value of each new record.
        metadata: anything that belongs to the field. `metadata_of` returns it.
        repr: False if the value is not to be shown by `repr`, because it is a secret or long.
    """
    return _Field(default, default_factory, metadata, repr)


@dataclass_transform(field_specifiers=(field,))
def record(cls: Any = None, *, frozen: bool = True, kw_only: bool = False) -> Any:
    """Decorator that makes a class a record. The annotated names in its body are the fields, and their values defaults.

    Records are equal if they are of the same class, and all fields are. As everywhere in Python, a class with its own
    `__eq__` is not hashable, unless it also has its own `__hash__`.

    Args:
        frozen: True if the fields of a record cannot be changed. Such a record can be a key of a dict.
        kw_only: True if the fields can only be given by name. Only the type checker looks at it.
    """
    if cls is None:
        return lambda found: record(found, frozen=frozen)
    fields: Dict[str, _Field] = dict(getattr(cls, "__record__", ()))
    for name in cls.__dict__.get("__annotations__", ()):  # noqa: RUF063 - not those of a base class
        default = cls.__dict__.get(name, _NONE)
        if isinstance(default, _Field):
            delattr(cls, name)
        else:
            default = _Field(default, None, None, True)
        fields[name] = default
    cls.__record__ = fields
    cls.__values__ = attrgetter("__class__", *fields)  # it would return no tuple for one name
    for name, method in [*_METHODS, *(_FROZEN if frozen else [("__hash__", None)])]:
        if name not in cls.__dict__:
            setattr(cls, name, method)
    return cls


def replace(record: _T, **changes: Any) -> _T:
    """Returns a copy of `record` with other values for the fields that `changes` names."""
    return type(record)(**{**fields_of(record), **changes})


def metadata_of(cls: Any) -> Dict[str, Any]:
    """Returns the metadata of all fields of a record's class, by name."""
    return {name: field.metadata for name, field in cls.__record__.items()}


def fields_of(record: Any) -> Dict[str, Any]:
    """Returns the values of all fields by name."""
    return {name: getattr(record, name) for name in record.__record__}


def _init(self: Any, *values: Any, **named: Any) -> None:
    fields = self.__record__
    if named or len(values) != len(fields):
        for name, field in [*fields.items()][len(values) :]:
            values += (named.pop(name) if name in named else field.factory() if field.factory else field.default,)
        if named or len(values) > len(fields) or _NONE in values:
            raise TypeError("wrong fields of " + type(self).__name__)
    self.__dict__.update(zip(fields, values))


def _eq(self: Any, other: Any) -> Any:
    return self.__values__(self) == self.__values__(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(self.__values__(self))


def _repr(self: Any) -> str:
    shown = ["%s=%r" % (name, getattr(self, name)) for name, field in self.__record__.items() if field.shown]
    return "%s(%s)" % (type(self).__name__, ", ".join(shown))


def _refuse(self: Any, name: str, *value: object) -> NoReturn:
    raise AttributeError("%s cannot be changed" % name)


_METHODS: List[Tuple[str, Any]] = [("__init__", _init), ("__repr__", _repr), ("__eq__", _eq)]
_FROZEN: List[Tuple[str, Any]] = [("__hash__", _hash), ("__setattr__", _refuse), ("__delattr__", _refuse)]
