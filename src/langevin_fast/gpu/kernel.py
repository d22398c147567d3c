"""The kernel of a run: its source, compiled with the functions of the potential."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import config

from ..functions import Functions
from .device_functions import Noise, device, elementary, of_user
from .layout import Layout
from .reductions import REDUCTIONS
from .source import source


@lru_cache(maxsize=256)
def kernel(functions: Functions, layout: Layout) -> Any:
    """The kernel, for ``kernel[blocks, threads](...)``; see :func:`source` for its arguments. Compiled when called."""
    dtype = np.float32 if layout.single else np.float64
    noise, k = Noise(dtype), elementary(dtype)
    names = {
        "cuda": cuda,
        "real": dtype,
        "double": np.float64,
        "u64": np.uint64,
        "dim": layout.dim,
        "zero": dtype(0),
        "one": dtype(1),
        "infinity": dtype(np.inf),
        "normals": noise.normals,
        "uniforms": noise.uniforms,
        "log": k.scaled_log(1, 0),
        "gradient": of_user(functions.gradient, dtype),
    }
    if layout.metropolised:
        names["energy_gradient"] = _energy_gradient(functions, names["gradient"], dtype)
    elif layout.observes_energy:
        names["energy_of"] = of_user(functions.energy, dtype)  # type: ignore[arg-type]
    for j, o in enumerate(layout.observations):
        names[o.reduction] = REDUCTIONS[o.reduction]
        for s, read in enumerate(o.reads):
            if read.function is not None:
                names[f"f{j}_{s}"] = of_user(read.function.energy, dtype)  # type: ignore[arg-type]
    exec(compile(source(layout), "<cuda kernel>", "exec"), names)
    return cuda.jit(names["kernel"])


def _energy_gradient(functions: Functions, gradient: Any, dtype: type) -> Any:
    if functions.energy_gradient is not None:
        return of_user(functions.energy_gradient, dtype)
    energy = of_user(functions.energy, dtype)  # type: ignore[arg-type]

    @device
    def energy_gradient(x, g, p):  # type: ignore[no-untyped-def]
        gradient(x, g, p)
        return energy(x, p)

    return energy_gradient


@contextmanager
def launching() -> Iterator[None]:
    """Around a launch, which compiles at the first call.

    Raises
    ------
    TypeError
        If numba-cuda cannot compile a function of the user's; the message is Numba's.
    """
    if config.ENABLE_CUDASIM:
        with warnings.catch_warnings():
            # the simulator computes with NumPy's numbers, which warn of the overflow that is meant
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
        return
    from numba.core import errors as numba_errors
    from numba.cuda.core import errors

    with warnings.catch_warnings(), without_contraction():
        warnings.simplefilter("ignore", errors.NumbaPerformanceWarning)  # few particles are no mistake
        try:
            yield
        except (errors.NumbaError, numba_errors.NumbaError) as error:
            raise TypeError(f"numba-cuda cannot compile the potential, or what observers read: {error}") from None


_LOCK = threading.Lock()


@contextmanager
def without_contraction() -> Iterator[None]:
    """Kernels that are compiled meanwhile use no fused multiply-adds: their bits are those of the CPU.

    NVVM has an option for that, which numba-cuda does not pass on.
    """
    from numba.cuda.cudadrv import nvvm

    with _LOCK:
        original = nvvm.compile_ir
        nvvm.compile_ir = lambda ir, **options: original(ir, fma=False, **options)
        try:
            yield
        finally:
            nvvm.compile_ir = original
