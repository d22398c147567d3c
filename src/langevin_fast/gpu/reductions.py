"""What observers make of what they read: the functions of cpp/observers, where `sizes` and `numbers` are explained.

Each takes one look at one particle: how many looks came before, the step, the values, sizes and numbers of the
observer, the particle's own reals and marks (columns of what the host has), the counts of all particles, and which
particle it is.
"""

from __future__ import annotations

from typing import Any

from numba import cuda

from .device_functions import device

# How many values there are is the length of an array, which the compiler knows: loops over them are unrolled.


@device
def sums(index, step, values, sizes, numbers, reals, marks, counts, particle):  # type: ignore[no-untyped-def]
    """Sums of values and of their products."""
    k, which = values.shape[0], sizes[1]
    products = k * (k + 1) // 2 if which == 2 else which * k
    batch = (k + products) * (1 + index // sizes[3]) if sizes[2] > 0 else 0
    if index == 0:
        for i in range(k):
            reals[i] = values[i]
    product = 2 * k
    for i in range(k):
        relative = values[i] - reals[i]
        _add(reals, k + i, batch, relative)
        if which == 1:
            _add(reals, product, batch, relative * relative)
            product += 1
        elif which == 2:
            for j in range(i + 1):
                _add(reals, product, batch, relative * (values[j] - reals[j]))
                product += 1


@device
def _add(reals, row, batch, value):  # type: ignore[no-untyped-def]
    reals[row] += value
    if batch > 0:
        reals[row + batch] += value


@device
def histogram(index, step, values, sizes, numbers, reals, marks, counts, particle):  # type: ignore[no-untyped-def]
    """Counts of values in bins."""
    outside = sizes[1] * sizes[2]
    place, inside = 0, True
    for axis in range(values.shape[0]):
        n = sizes[1 + axis]
        along = (values[axis] - numbers[2 * axis]) * numbers[2 * axis + 1]
        if along >= 0.0 and along < n:
            place = place * n + int(along)
        else:  # NaN too
            inside = False
    batch = index // sizes[4] if sizes[4] > 0 else particle // sizes[5]
    cuda.atomic.add(counts, batch * (outside + 1) + (place if inside else outside), 1)


@device
def lags(index, step, values, sizes, numbers, reals, marks, counts, particle):  # type: ignore[no-untyped-def]
    """Sums over pairs of looks, a lag apart."""
    k, p, levels, products = values.shape[0], sizes[1], sizes[2], sizes[3] > 0
    rows = 1 + k if products else 1
    batch = rows * (p + (levels - 1) * (p // 2)) * (1 + index // sizes[5]) if sizes[4] > 0 else 0
    if index == 0:
        for c in range(k):
            reals[c] = values[c]
    if products:
        for c in range(k):
            values[c] -= reals[c]
    row, level = k + levels * p * k, 0
    while level < levels and index % (1 << level) == 0:
        look = index >> level  # of those of this level
        ring = k + level * p * k
        for c in range(k):
            reals[ring + look % p * k + c] = values[c]
        for lag in range(p // 2 if level > 0 else 0, p):
            if lag <= look:
                past = ring + (look - lag) % p * k
                total = 0.0
                for c in range(k):
                    a, b = values[c], reals[past + c]
                    total += a * b if products else (a - b) * (a - b)
                    if products:
                        _add(reals, row + 1 + c, batch, a + b)
                _add(reals, row, batch, total)
            row += rows
        level += 1


@device
def passages(index, step, values, sizes, numbers, reals, marks, counts, particle):  # type: ignore[no-untyped-def]
    """The first step after which a value is positive."""
    n, which = values.shape[0], 0
    while which < n and not values[which] > 0.0:
        which += 1
    if which < n:
        anew = sizes[0] == 2
        if marks[0] < 0:
            marks[0] = step
            marks[3 if anew else 1] = which
        if anew:
            marks[1] = step
            marks[2] += 1


@device
def transitions(index, step, values, sizes, numbers, reals, marks, counts, particle):  # type: ignore[no-untyped-def]
    """Counts of changes between sets."""
    sets = values.shape[0]
    for i in range(sets):
        if values[i] > 0.0:
            marks[0] = i
    if index % sizes[1] == 0:
        before, now = marks[1], marks[0]
        if before >= 0 and now >= 0:
            cuda.atomic.add(counts, (particle // sizes[2] * sets + before) * sets + now, 1)
        marks[1] = now


# "work" is no look at a state, and not there on a GPU.
REDUCTIONS: dict[str, Any] = {
    "sums": sums,
    "histogram": histogram,
    "lags": lags,
    "passages": passages,
    "transitions": transitions,
}
