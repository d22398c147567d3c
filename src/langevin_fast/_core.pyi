"""Types of the compiled module (cpp/bindings). Arrays of one call are all float64 or all float32."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MAX_INSTRUCTIONS: int
MAX_RECORDINGS: int
MAX_OBSERVATIONS: int
STREAM_BITS: int
SINGLE_PRECISION_TAG: int
TAGS: dict[str, int]
PROPERTIES: dict[str, int]
OPERATIONS: list[tuple[str, str, int, str]]

class Pass:
    begin: int
    end: int
    draw: int
    properties: int

class Parsed:
    draws: list[int]
    passes: list[Pass]
    normals_per_step: int
    uniforms_per_step: int
    properties: int
    def __init__(self, letters: str) -> None: ...

Accumulators = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]

class DoubleRunner:
    def __init__(
        self,
        *,
        kind: str,
        functions: dict[str, int],
        dim: int,
        parsed: Parsed,
        seed: int,
        streams: npt.NDArray[np.uint64],
    ) -> None: ...
    def set_rows(self, parameters: Array, coefficients: Sequence[Sequence[Array]]) -> None: ...
    def advance(
        self,
        first_step: int,
        n_steps: int,
        x: Array,
        v: Array | None,
        accepted: npt.NDArray[np.int64],
        diverged: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int32] | None,
        row_before: int,
        recordings: Sequence[tuple[int, int, Array, Array | None]],
        accumulators: Sequence[Accumulators],
        goes_on: bool,
        threads: int,
    ) -> tuple[Array, Array | None, npt.NDArray[np.int64], npt.NDArray[np.int64], tuple[Accumulators, ...]]: ...
    def set_boundary(self, walls: npt.NDArray[np.int64], numbers: Array) -> None: ...
    def set_observations(self, observations: Sequence[tuple[Any, ...]]) -> None: ...

class SingleRunner(DoubleRunner): ...

def use_isa(name: str) -> None: ...
def isa() -> str: ...
def isa_levels() -> list[dict[str, Any]]: ...
def has_openmp() -> bool: ...
def default_threads() -> int: ...
def potential_names() -> list[str]: ...
def energy(kind: str, dim: int, parameters: Array, x: Array, functions: dict[str, int] = ...) -> Array: ...
def gradient(kind: str, dim: int, parameters: Array, x: Array, functions: dict[str, int] = ...) -> Array: ...
def function(name: str, x: Array) -> Array: ...
def call_group(address: int, x: Array) -> Array: ...
def log(x: npt.ArrayLike) -> npt.NDArray[np.float64]: ...
def exp(x: npt.ArrayLike) -> npt.NDArray[np.float64]: ...
def expm1(x: npt.ArrayLike) -> npt.NDArray[np.float64]: ...
def spd_inverse(matrix: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
def draw(
    *, uniform: bool, seed: int, particles: npt.NDArray[np.uint64], tag: int, start: int, count: int, single: bool
) -> Array: ...
def draw_rows(*, out: Array, seed: int, particles: npt.NDArray[np.uint64], start: int) -> None: ...
def draw_crowd(
    *, out: Array, uniform: bool, seed: int, particles: npt.NDArray[np.uint64], tag: int, start: int
) -> None: ...
def update(
    parsed: Parsed,
    begin: int,
    end: int,
    coefficients: Sequence[Sequence[Array]],
    x_in: Array,
    v_in: Array | None,
    g: Array | None,
    xi: Array | None,
    next_xi: Array | None,
    x_out: Array | None,
    v_out: Array | None,
) -> None: ...
def metropolis(
    *,
    coefficients: Sequence[Array],
    old_x: Array,
    new_g: Array,
    new_energy: Array,
    uniforms: Array,
    x: Array,
    g: Array,
    energy: Array,
    accepted: npt.NDArray[np.int64],
) -> None: ...
def all_finite(x: Array) -> bool: ...
