"""Copies of Python functions that see other values in place of what they use."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any


def rebuilt(function: Callable[..., Any], replace: Callable[[Any], Any]) -> Callable[..., Any]:
    """A copy that sees ``replace(value)`` for each global, closure variable, default and constant it uses."""
    code = function.__code__
    globals_ = {**function.__globals__}
    for name in code.co_names:
        if name in globals_ and globals_[name] is not function:
            globals_[name] = replace(globals_[name])
    copy = types.FunctionType(
        code.replace(co_consts=tuple(map(replace, code.co_consts))),
        globals_,
        function.__name__,
        None if function.__defaults__ is None else tuple(map(replace, function.__defaults__)),
        tuple(types.CellType(replace(cell.cell_contents)) for cell in function.__closure__ or ()),
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
