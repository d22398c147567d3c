"""Two loops in C++, compiled here for this processor: std_loops.cpp and expert_loops.cpp (the variant)."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import Array, MissingWorkError, Sampler, Task, choose, serve

FLAGS = {
    "std": ["-O3", "-march=native"],
    "expert": ["-O3", "-march=native", "-ffast-math"],
}
POTENTIALS = ("well", "muller_brown", "gaussian", "mixture", "logistic", "lennard_jones", "network")
SCHEMES = ("ULA", "BAOAB", "MALA", "normals")


class Settings(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("potential", "scheme", "dim", "threads")),
        *((name, ctypes.c_double) for name in ("step_size", "kT", "friction")),
    ]


def compiler_found() -> str | None:
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("c++")


def library(variant: str, cache: str) -> ctypes.CDLL:
    """Compiled when it is not there yet."""
    compiler = compiler_found()
    if compiler is None:
        raise MissingWorkError("no C++ compiler")
    source = Path(__file__).with_name(f"{variant}_loops.cpp")
    wide = variant == "expert" and platform.machine() in ("x86_64", "AMD64")
    extra = ["-mprefer-vector-width=512"] if wide else []  # without it, vectors of half the width that there is
    flags = [*extra, *FLAGS[variant], "-std=c++17", "-fopenmp", "-shared", "-fPIC"]
    name = hashlib.sha256(source.read_bytes() + " ".join([compiler, *flags]).encode()).hexdigest()[:16]
    path = Path(cache) / f"{variant}-{name}.so"
    if not path.exists():
        subprocess.run([compiler, *flags, str(source), "-o", f"{path}.new", "-lm"], check=True)
        Path(f"{path}.new").rename(path)
    return ctypes.CDLL(str(path))


PARAMETERS: dict[str, Callable[[Task], Array]] = {
    "muller_brown": lambda task: task.array("terms"),
    "mixture": lambda task: np.concatenate(
        [[len(task.parameters["means"]), 1.0 / task.parameters["variance"]], task.array("means").ravel()]
    ),
    "logistic": lambda task: np.concatenate(
        [[len(task.parameters["y"]), task.parameters["prior_scale"] ** -2.0], task.array("X").ravel(), task.array("y")]
    ),
    "lennard_jones": lambda task: np.array([task.parameters["wall"], task.parameters["wall_stiffness"]]),
    "network": lambda task: np.concatenate(
        [
            [len(task.layers), task.dim, *(len(w) for w, _ in task.layers)],
            *(part.ravel() for layer in task.layers for part in layer),
        ]
    ),
}


def prepare(task: Task) -> Sampler:
    if task.scheme == "MALA":
        choose({"gaussian": True, "logistic": True}, task.potential, "MALA of")
    if task.scheme == "normals" and task.threads > 1:
        raise MissingWorkError("one stream is made by one thread")
    compute = getattr(library(task.variant, task.cache), f"run_{task.precision}")
    compute.argtypes = [
        ctypes.POINTER(Settings),
        *[ctypes.c_void_p] * 3,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_uint64,
    ]
    compute.restype = None
    settings = Settings(
        0 if task.scheme == "normals" else POTENTIALS.index(task.potential),
        SCHEMES.index(task.scheme),
        task.dim,
        task.threads,
        task.step_size,
        task.kT,
        task.friction,
    )
    parameters: Array = np.ascontiguousarray(PARAMETERS.get(task.potential, lambda task: np.zeros(1))(task), task.dtype)
    rows = task.variant == "expert"  # one row per component; std has one per particle
    start = task.starts if rows else np.ascontiguousarray(task.starts.T)
    x, v, calls = start.copy(), np.zeros_like(start), 0
    rng = np.random.default_rng(5)

    def reset() -> None:
        np.copyto(x, start)
        if task.scheme == "BAOAB":
            np.copyto(v, np.sqrt(task.kT) * rng.standard_normal(v.shape))

    def run(n_steps: int) -> None:
        nonlocal calls
        calls += 1
        compute(settings, parameters.ctypes.data, x.ctypes.data, v.ctypes.data, task.n, n_steps, calls << 32)

    reset()
    return Sampler(reset, run, lambda: x.T if rows else x)


def versions() -> dict[str, str]:
    compiler = compiler_found()
    if compiler is None:
        return {}
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    return {"compiler": said.splitlines()[0] if said else compiler}


if __name__ == "__main__":
    serve(prepare, versions)
