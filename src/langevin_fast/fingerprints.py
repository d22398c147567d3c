"""Fingerprints of Python functions: whether a function is the one that a file was written with."""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import sys
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

_OURS = __name__.split(".")[0]
# Of the flags of code, those that matter: *args, **kwargs, generators and coroutines.
_KINDS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE
# What bytecode belongs to.
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def fingerprint(function: Callable[..., Any]) -> str:
    """A digest of what a function does: its bytecode, constants, defaults, and the values that it closes over or uses.

    It is the same in every process of one version of Python, and does not depend on names, comments or line numbers.
    What a function itself assigns to (a counter) is left out. Objects of other libraries are told apart by their class
    and, where they are arrays, by their numbers.
    """
    function = plain(function)
    return hashlib.sha256(repr(_Description(_package(function)).of(function)).encode()).hexdigest()[:32]


def plain(function: Any) -> Any:
    """The Python function within what a compiler made of it."""
    function = getattr(function, "py_func", function)  # of Numba
    # JAX has the function within; that within a Python function is not what that one does
    return function if isinstance(function, FunctionType) else getattr(function, "__wrapped__", function)


def find(module: str, name: str) -> Any:
    """What a module that is loaded already calls so, or None."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


class _Description:
    """Values as something whose `repr` is the same wherever the value is.

    Parameters
    ----------
    package : str
        That of the function in question: what belongs to it is looked into, other installed libraries are not.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._seen: dict[int, tuple[int, Any]] = {}

    def of(self, value: Any) -> Any:
        """Of any value."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            return type(value).__name__, value
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                return "array", value.shape, self.of(value.ravel().tolist())
            content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return "array", value.dtype.str, value.shape, content
        if isinstance(value, np.generic):
            return value.dtype.str, value.item()
        if isinstance(value, ModuleType):
            return "module", value.__name__
        if hasattr(value, "__array__") and not isinstance(value, type):  # of another library
            tensor = value.detach().cpu() if hasattr(value, "detach") else value  # of PyTorch
            return type(value).__name__, self.of(np.asarray(tensor))
        if isinstance(value, tuple):
            return "tuple", [self.of(one) for one in value]
        if isinstance(value, frozenset):
            return "set", sorted(repr(self.of(one)) for one in value)
        # Others may hold themselves, and are kept alive, so that no two of them have one id.
        if id(value) in self._seen:
            return "again", self._seen[id(value)][0]
        self._seen[id(value)] = len(self._seen), value
        if isinstance(value, list):
            return "list", [self.of(one) for one in value]
        if isinstance(value, set):
            return "set", sorted(repr(self.of(one)) for one in value)
        if isinstance(value, dict):
            return "dict", [(self.of(k), self.of(v)) for k, v in value.items()]
        if isinstance(value, functools.partial):
            return "partial", [self.of(part) for part in (value.func, value.args, value.keywords)]
        function = plain(value)
        if inspect.ismethod(function):
            return "method", self.of(function.__self__), self.of(function.__func__)
        if isinstance(function, FunctionType):
            return self._of_function(function)
        if isinstance(value, type):
            return "class", value.__module__, value.__qualname__
        if callable(value) and hasattr(value, "__qualname__"):  # built in
            return "object", getattr(value, "__module__", None), value.__qualname__
        return self._of_object(value)

    def _of_object(self, value: Any) -> Any:
        kind = type(value)
        name = kind.__module__, kind.__qualname__
        if self._is_of_a_library(kind.__module__, _file_of(kind.__module__)):
            return "object", name
        classes = [c for c in reversed(kind.__mro__) if not self._is_of_a_library(c.__module__, _file_of(c.__module__))]
        parts = {k: _plain_part(v) for c in classes for k, v in vars(c).items() if _counts(k, v)}
        return "object", name, self.of(getattr(value, "__dict__", {})), [(k, self.of(parts[k])) for k in sorted(parts)]

    def _of_function(self, function: FunctionType) -> Any:
        code = function.__code__
        assigned, attributes = _names_in(code, "STORE_DEREF"), _attributes_of(code)
        closure = zip(code.co_freevars, function.__closure__ or (), strict=True)
        cells = [self._of_cell(cell, attributes) for name, cell in closure if name not in assigned]
        if self._is_of_a_library(function.__module__, code.co_filename):
            return "library", function.__module__, function.__qualname__, cells
        known = function.__globals__
        names = [name for name in sorted(_globals_of(code)) if name in known]
        used = [(name, self._of_used(known[name], attributes)) for name in names]
        defaults = self.of((function.__defaults__, function.__kwdefaults__))
        return "function", self._of_code(code, function.__doc__), defaults, cells, used

    def _of_cell(self, cell: Any, attributes: set[str]) -> Any:
        try:
            return self._of_used(cell.cell_contents, attributes)
        except ValueError:  # empty: what it is for is not defined yet
            return None

    def _of_used(self, value: Any, attributes: set[str]) -> Any:
        return self.of(value), self._parts_of(value, attributes)

    def _parts_of(self, value: Any, attributes: set[str]) -> Any:
        """What a function that names these attributes may read of a module or a class of the user's."""
        if not isinstance(value, (ModuleType, type)):
            return None
        module = value.__name__ if isinstance(value, ModuleType) else value.__module__
        if self._is_of_a_library(module, _file_of(module)):
            return None
        return [(name, self.of(_plain_part(vars(value)[name]))) for name in sorted(attributes & vars(value).keys())]

    def _is_of_a_library(self, module: str | None, file: str) -> bool:
        package = (module or "").split(".")[0]
        if package == _OURS:
            return True
        if package in (self._package, "__main__"):
            return False
        return "site-packages" in file or "dist-packages" in file or package in sys.stdlib_module_names

    def _of_code(self, code: CodeType, doc: str | None = None) -> Any:
        constants = [
            self._of_code(c) if isinstance(c, CodeType) else self.of(c)
            for i, c in enumerate(code.co_consts)
            if i or not (c is None or c == doc)  # the first one is where documentation stands
        ]
        names = code.co_names, code.co_varnames, code.co_freevars
        return code.co_code.hex(), constants, names, code.co_argcount, code.co_flags & _KINDS


def _counts(name: str, part: Any) -> bool:
    """Whether a part of a class is what its author wrote: not slots, or what Python puts there."""
    special = name.startswith("__") and name.endswith("__")
    written = isinstance(part, (FunctionType, staticmethod, classmethod, property, functools.cached_property))
    return written or not (special or hasattr(part, "__set__") or name.startswith("_abc_"))


def _plain_part(part: Any) -> Any:
    """The function in it."""
    if isinstance(part, (staticmethod, classmethod)):
        return part.__func__
    if isinstance(part, property):
        return part.fget
    return part.func if isinstance(part, functools.cached_property) else part


def _package(function: Any) -> str:
    """The outermost package of what defines it."""
    return str(getattr(function, "__module__", None) or "").split(".")[0]


def _file_of(module: str) -> str:
    return getattr(sys.modules.get(module), "__file__", None) or ""


def _names_in(code: CodeType, *instructions: str) -> set[str]:
    """The names in some instructions of it, and of functions within it."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in instructions}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names_in(constant, *instructions)
    return names


def _globals_of(code: CodeType) -> set[str]:
    """What it reads from the module, and does not assign to."""
    return _names_in(code, "LOAD_GLOBAL", "LOAD_NAME") - _names_in(code, "STORE_GLOBAL")


def _attributes_of(code: CodeType) -> set[str]:
    return _names_in(code, "LOAD_ATTR", "LOAD_METHOD")
