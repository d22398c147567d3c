# mypy: disable-error-code="import-untyped, import-not-found"
"""Intel's generators for NumPy: raw normals, the faster of their methods."""

from __future__ import annotations

import mkl_random
import numpy as np
from common import MissingWorkError, Sampler, Task, package_versions, serve


def prepare(task: Task) -> Sampler:
    if task.scheme != "normals":
        raise MissingWorkError("numbers only")
    if task.precision == "single":
        raise MissingWorkError("double precision only")
    if task.threads > 1:
        raise MissingWorkError("one stream is made by one thread")
    state = mkl_random.RandomState(1, brng="SFMT19937")
    x = np.zeros(task.n)

    def run(n_steps: int) -> None:
        nonlocal x
        for _ in range(n_steps):
            x = state.standard_normal(task.n, method="ICDF")

    return Sampler(lambda: None, run, lambda: x[:, np.newaxis])


if __name__ == "__main__":
    serve(prepare, package_versions("mkl_random"))
