"""Objects as JSON and arrays: not what they are inside, but the arguments that make them once more."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..boundaries import Boundary
from ..errors import CheckpointError
from ..fingerprints import find, fingerprint, plain
from ..observers import Frames, Observer
from ..potentials.base import Potential
from ..regions import Region
from ..schedules import Schedule
from ..schemes import Scheme

# The rooms whose public classes may be named in a file.
_ROOMS = ("boundaries", "observers", "potentials", "regions", "schedules", "schemes", "score")


class Packer:
    """Makes nodes of values: what JSON can hold, with arrays by number.

    Attributes
    ----------
    arrays : list of ndarray
    functions : dict
        The Python functions that were met, by fingerprint.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.functions: dict[str, Callable[..., Any]] = {}
        self._numbers: dict[int, int] = {}

    def node(self, value: Any) -> Any:
        """Of any value."""
        if isinstance(value, np.generic):  # some of them are numbers and texts of Python too
            return value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, np.ndarray):
            return self._of_array(value)
        if isinstance(value, list):
            return [self.node(one) for one in value]
        if isinstance(value, tuple):
            return {"tuple": [self.node(one) for one in value]}
        if isinstance(value, dict):
            return {"dict": {name: self.node(one) for name, one in value.items()}}
        if isinstance(value, Potential):
            return self._of_potential(value)
        if isinstance(value, (Scheme, Schedule, Boundary, Region)):
            arguments = _own_arguments(value)
            if arguments is not None:
                return self._made(type(value), arguments)
            return {"unknown": _path(type(value)), "shown": repr(value)}
        if isinstance(value, (Frames, Observer)):
            return self._made(type(value), value.given)
        if callable(value):
            return self._of_function(value)
        return {"unknown": f"{type(value).__module__}.{type(value).__qualname__}", "shown": str(value)}

    def _of_array(self, array: np.ndarray) -> Any:
        # all the same, as counters of runs without events are: by its bits, so that -0.0 and NaN stay what they are
        if array.size > 1 and array.dtype.kind in "iuf":
            bits = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
            if bits[(0,) * bits.ndim] == bits[(-1,) * bits.ndim] and (bits == bits[(0,) * bits.ndim]).all():
                first = np.ascontiguousarray(array.reshape(-1)[:1])
                return {"constant": first.tobytes().hex(), "dtype": array.dtype.str, "shape": list(array.shape)}
        if array.dtype == np.uint64 and array.ndim == 1 and np.array_equal(array, np.arange(len(array))):
            return {"arange": len(array)}
        if id(array) not in self._numbers:
            self._numbers[id(array)] = len(self.arrays)
            self.arrays.append(array)
        return {"array": self._numbers[id(array)]}

    def _of_potential(self, potential: Potential) -> Any:
        made_by = potential.made_by()
        if made_by is not None:
            return self._made(*made_by)
        path = _path(type(potential))
        return {"unknown": path, "shown": repr(potential), "parameters": self.node(potential.parameters)}

    def _of_function(self, function: Callable[..., Any]) -> Any:
        digest = fingerprint(function)
        self.functions[digest] = function
        name = plain(function)
        return {
            "function": digest,
            "name": getattr(name, "__qualname__", type(name).__qualname__),
            "module": getattr(name, "__module__", None),
        }

    def _made(self, kind: type, arguments: dict[str, Any]) -> Any:
        return {"make": _path(kind), "with": {name: self.node(value) for name, value in arguments.items()}}


class Unpacker:
    """Makes values of nodes.

    Parameters
    ----------
    arrays : sequence of ndarray
    functions : dict
        Python functions by fingerprint; others are looked for where they were, in modules that are loaded.
    known : sequence of pairs (node, object)
        What is there already, in place of which nothing is made.
    comparable : bool
        Whether fingerprints of functions can be compared with those of this process.
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        functions: dict[str, Callable[..., Any]],
        known: Sequence[tuple[Any, Any]],
        *,
        comparable: bool,
    ) -> None:
        self.arrays = arrays
        self._functions = functions
        self._known = known
        self._comparable = comparable

    def value(self, node: Any) -> Any:
        """Of a node."""
        if isinstance(node, list):
            return [self.value(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "array" in node or "constant" in node or "arange" in node:
            return array_of(node, self.arrays)
        if "tuple" in node:
            return tuple(self.value(one) for one in node["tuple"])
        if "dict" in node:
            return {name: self.value(one) for name, one in node["dict"].items()}
        for one, there in self._known:
            if one == node:
                return there
        if "function" in node:
            return self._function(node)
        if "unknown" in node:
            raise CheckpointError(
                f"{node['shown']} cannot be made from a file: give it again, as potential= or among observers="
            )
        arguments = {name: self.value(one) for name, one in node["with"].items()}
        return _class(node["make"])(**arguments)

    def _function(self, node: dict[str, Any]) -> Any:
        if self._comparable and (function := self._functions.get(node["function"])) is not None:
            return function
        for function in (find(node["module"] or "", node["name"]), *self._functions.values()):
            if callable(function) and self._same(function, node):
                return function
        raise CheckpointError(
            f"the Python function {node['name']} of the file is not there, or not the same any more (its code, "
            "constants and closures count): give what uses it again, as potential= or among observers="
        )

    def _same(self, function: Any, node: dict[str, Any]) -> bool:
        if self._comparable:
            return fingerprint(function) == node["function"]
        return getattr(plain(function), "__qualname__", None) == node["name"]


def array_of(node: dict[str, Any], arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The array that a node stands for."""
    if "array" in node:
        return arrays[node["array"]]
    if "arange" in node:
        return np.arange(node["arange"], dtype=np.uint64)
    one = np.frombuffer(bytes.fromhex(node["constant"]), node["dtype"])
    return np.full(node["shape"], one[0])


def differences(name: str, a: Any, of_a: Sequence[np.ndarray], b: Any, of_b: Sequence[np.ndarray]) -> list[str]:
    """Where two nodes differ, `a` being that of a file; each part in words."""
    if isinstance(a, dict) and isinstance(b, dict):
        if _is_array(a) and _is_array(b):
            x, y = array_of(a, of_a), array_of(b, of_b)
            same = x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
            return [] if same else [f"{name} has other numbers ({_summary(y)}; in the file {_summary(x)})"]
        if "function" in a and "function" in b:
            return (
                [] if a["function"] == b["function"] else [f"{name} is another function than {a['name']} of the file"]
            )
        if a.get("make") == b.get("make") and a.keys() == b.keys():
            return [part for key, one, other in _parts(name, a, b) for part in differences(key, one, of_a, other, of_b)]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [
            part
            for i, (one, other) in enumerate(zip(a, b, strict=True))
            for part in differences(f"{name}[{i}]", one, of_a, other, of_b)
        ]
    return [] if a == b and type(a) is type(b) else [f"{name} is {_shown(b)}; in the file {_shown(a)}"]


def _parts(name: str, a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What is in two nodes of one kind, with its name."""
    start = f"{name}: " if name else ""
    for inside in ("with", "dict"):
        if inside in a:
            names = sorted({*a[inside], *b[inside]})
            return [(start + k, a[inside].get(k), b[inside].get(k)) for k in names]
    return [(name if key == "tuple" else start + key, a[key], b[key]) for key in a if key != "make"]


def _is_array(node: dict[str, Any]) -> bool:
    return not node.keys().isdisjoint(("array", "constant", "arange"))


def _summary(array: np.ndarray) -> str:
    if array.size <= 4:
        return str(array.tolist())
    return f"{array.dtype} {array.shape}, from {array.min():.6g} to {array.max():.6g}"


def _shown(node: Any) -> str:
    if isinstance(node, dict) and "make" in node:
        inside = ", ".join(f"{name}={_shown(value)}" for name, value in node["with"].items())
        return f"{node['make'].split('.')[-1]}({inside})"
    if isinstance(node, list):
        return f"[{', '.join(map(_shown, node))}]"
    if isinstance(node, dict) and "tuple" in node:
        return f"({', '.join(map(_shown, node['tuple']))})"
    if isinstance(node, dict):
        return str(node.get("name") or node.get("shown") or next(iter(node)))
    return repr(node)


def _own_arguments(value: Any) -> dict[str, Any] | None:
    """The arguments of a constructor whose object shows each under its name; None if it does not."""
    names = inspect.signature(type(value)).parameters
    return {name: getattr(value, name) for name in names} if all(hasattr(value, name) for name in names) else None


def _path(kind: type) -> str:
    package, _, rest = kind.__module__.partition(".")
    room = rest.split(".")[0]
    if package != __name__.split(".")[0] or room not in _ROOMS:
        return f"{kind.__module__}.{kind.__qualname__}"
    return f"{room}.{kind.__name__}"


def _class(path: str) -> type:
    room, _, name = path.rpartition(".")
    if room in _ROOMS:
        module = importlib.import_module(f"..{room}", __package__)
        found = getattr(module, name, None)
        if isinstance(found, type) and name in module.__all__:
            return found
    raise CheckpointError(f"{path} is not part of this version: give it again, as potential= or among observers=")
