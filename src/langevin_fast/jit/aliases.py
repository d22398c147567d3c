"""Which functions of Python's math module, of NumPy and of the built-in ones mean one of :mod:`langevin_fast.math`."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

ALIASES: dict[str, tuple[Callable[..., Any], ...]] = {
    "exp": (math.exp, np.exp),
    "expm1": (math.expm1, np.expm1),
    "log": (math.log, np.log),
    "log1p": (math.log1p, np.log1p),
    "sqrt": (math.sqrt, np.sqrt),
    "sin": (math.sin, np.sin),
    "cos": (math.cos, np.cos),
    "tan": (math.tan, np.tan),
    "sinh": (math.sinh, np.sinh),
    "cosh": (math.cosh, np.cosh),
    "tanh": (math.tanh, np.tanh),
    "fabs": (math.fabs, np.fabs, np.abs),
    "copysign": (math.copysign, np.copysign),
    "power": (math.pow, np.power, builtins.pow),
    "maximum": (np.maximum, builtins.max),
    "minimum": (np.minimum, builtins.min),
    "where": (np.where,),
    "floor": (math.floor, np.floor),
    "ceil": (math.ceil, np.ceil),
    "round": (np.rint, builtins.round),
    "mod": (np.mod,),
    "take": (),
    "interp": (np.interp,),
}

# How many arguments they take, where it is not one.
ARGUMENTS = {"copysign": 2, "power": 2, "maximum": 2, "minimum": 2, "mod": 2, "where": 3}

# Those that read tables.
TABLES = ("take", "interp")
