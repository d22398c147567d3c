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
# What bytecode belongs to.
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def fingerprint(function: Callable[..., Any]) -> str:
    """A digest of what a function does: its bytecode, constants, defaults, and the values that it closes over or uses.

    It is the same in every process of one version of Python, and does not depend on names, comments or line numbers.
    """
    function = plain(function)
    return hashlib.sha256(repr(_Description(_package(function)).of(function)).encode()).hexdigest()[:32]


def plain(function: Any) -> Any:
    """The Python function within what decorators made of it."""
    for name in ("py_func", "__wrapped__"):
        function = getattr(function, name, function)
    return function


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
            content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return "array", value.dtype.str, value.shape, content
        if isinstance(value, np.generic):
            return value.dtype.str, value.item()
        if isinstance(value, ModuleType):
            return "module", value.__name__
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
            return "method", self.of(function.__func__)
        if isinstance(function, FunctionType):
            return self._of_function(function)
        # of a library, or an object: its kind is all that can be said
        named = isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__"))
        kind = value if named else type(value)
        return "object", getattr(kind, "__module__", None), kind.__qualname__

    def _of_function(self, function: FunctionType) -> Any:
        cells = [self._of_cell(cell) for cell in function.__closure__ or ()]
        if self._is_of_a_library(function):
            return "library", function.__module__, function.__qualname__, cells
        names = [name for name in sorted(_globals_of(function.__code__)) if name in function.__globals__]
        used = [(name, self.of(function.__globals__[name])) for name in names]
        defaults = self.of((function.__defaults__, function.__kwdefaults__))
        return "function", self._of_code(function.__code__, function.__doc__), defaults, cells, used

    def _of_cell(self, cell: Any) -> Any:
        try:
            return self.of(cell.cell_contents)
        except ValueError:  # empty: what it is for is not defined yet
            return None

    def _is_of_a_library(self, function: FunctionType) -> bool:
        package = _package(function)
        if package == _OURS:
            return True
        if package in (self._package, "__main__"):
            return False
        file = function.__code__.co_filename
        return "site-packages" in file or "dist-packages" in file or package in sys.stdlib_module_names

    def _of_code(self, code: CodeType, doc: str | None = None) -> Any:
        constants = [
            self._of_code(c) if isinstance(c, CodeType) else self.of(c)
            for i, c in enumerate(code.co_consts)
            if i or not (c is None or c == doc)  # the first one is where documentation stands
        ]
        names = code.co_names, code.co_varnames, code.co_freevars
        return code.co_code.hex(), constants, names, code.co_argcount, code.co_flags


def _package(function: Any) -> str:
    """The outermost package of what defines it."""
    return str(getattr(function, "__module__", None) or "").split(".")[0]


def _globals_of(code: CodeType) -> set[str]:
    """The names that it, and functions within it, read from the module."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _globals_of(constant)
    return names
