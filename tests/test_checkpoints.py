"""Exact restarts: what a checkpoint holds, when it is refused, and that nothing is lost."""

from __future__ import annotations

import copy
import errno
import functools
import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import observers, stages
from langevin_fast.bits import BITS
from langevin_fast.checkpoints import Keeper, container
from langevin_fast.checkpoints.recipes import Packer, Unpacker
from langevin_fast.fingerprints import fingerprint
from langevin_fast.potentials.examples import EXAMPLES

ROOT = Path(__file__).parents[1]
WELL = lf.potentials.DoubleWell(2.0)
SHIFT = 0.25


def energy(x: Any, k: float) -> Any:
    return 0.5 * k * x[0] * x[0] + SHIFT * x[0]


def gradient(x: Any, out: Any, k: float) -> None:
    out[0] = k * x[0] + SHIFT


def right(x: Any) -> Any:
    return x[0] > 1.5


def watchers(*, restart: bool = True) -> list[observers.Observer]:
    """One of every kind."""
    return [
        observers.Moments(every=3),
        observers.Expectation(["x**2", "energy"], start=5),
        observers.Histogram("x", bins=20, range=(-2, 2)),
        observers.MeanSquaredDisplacement(),
        observers.Autocorrelation("x", every=2),
        observers.FirstPassage(right, on_arrival="restart" if restart else "stop"),
        observers.Transitions(["x < -1", lf.regions.Box(1.0, None)], lag=10),
        observers.Trigger("x > 1 and energy < 3"),
        observers.Work(),
    ]


def assert_same(a: lf.Simulation, b: lf.Simulation) -> None:
    """State, accumulators and what observers show are equal to the bit."""
    assert a.step == b.step
    for name in ("positions", "velocities", "accepted", "diverged"):
        x, y = getattr(a.state, name), getattr(b.state, name)
        assert (x is None and y is None) or (x.dtype == y.dtype and x.tobytes() == y.tobytes()), name
    for one, other in zip(a.state.observed, b.state.observed, strict=True):
        assert [x.tobytes() for x in one.arrays] == [x.tobytes() for x in other.arrays]
        assert one.reduction.sizes.tolist() == other.reduction.sizes.tolist()
    for mine, theirs in zip(a.observers, b.observers, strict=True):
        assert repr(mine) == repr(theirs)
        assert mine.n_samples.tolist() == theirs.n_samples.tolist()
    steps = np.arange(a.stepper.history.first.step, a.step + 1)
    assert np.array_equal(a.times_at(steps), b.times_at(steps))


POTENTIALS = {
    "built-in": (WELL, "cpp"),
    "driven": (lf.potentials.DoubleWell(lf.Schedule([0.0, 5.0], [1.0, 3.0])), "cpp"),
    "expression": (lf.potentials.Expression("a*x**4", variables="x", a=0.5), "numba"),
    "custom": (lf.potentials.Custom(energy=energy, gradient=gradient, dim=1, k=2.0), "numba"),
    "sum": (WELL + 0.5 * lf.potentials.Expression("k*(x - 1)**2", variables="x", k=2.0), "numba"),
    "driven sum": (WELL + lf.Schedule([0.0, 5.0], [1.0, 3.0]) * lf.potentials.Harmonic(1.0), "numba"),
    "batch": (lf.potentials.Batch(energy=lambda x: (x**4).sum(axis=1), gradient=lambda x: 4 * x**3, dim=1), "batch"),
}


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("scheme", [lf.BAOAB(0.05, friction=1.0), lf.MALA(0.1)], ids=["BAOAB", "MALA"])
@pytest.mark.parametrize("kind", POTENTIALS)
def test_a_run_goes_on_to_its_own_bits(kind: str, scheme: lf.Scheme, precision: str, tmp_path: Path):
    potential, backend = POTENTIALS[kind]
    whole = lf.Simulation(
        potential,
        scheme,
        n_particles=37,
        initial=[-1.0],
        seed=3,
        precision=precision,
        boundary=lf.Reflecting(-3, None),
        observers=watchers(),
    )
    assert whole.backend == backend
    whole.run(40)
    whole.update(kT=1.5)  # a history of two parts, the first with arrivals
    whole.run(23)
    whole.save(tmp_path / "a.ckpt")
    # functions that are no module's have to be given again
    part = lf.Simulation.load(tmp_path / "a.ckpt", potential=potential if kind == "batch" else None)
    assert_same(whole, part)
    whole.run(60)
    part.run(60)
    assert_same(whole, part)
    stretches = [run.replay([3, 11], slice(30, 100)) for run in (whole, part)]
    assert stretches[0].positions.tobytes() == stretches[1].positions.tobytes()


@pytest.mark.parametrize("kind", ["built-in", "custom"])
def test_another_level_backend_and_thread_count(kind: str, tmp_path: Path, use_isa: Any):
    whole = lf.Simulation(POTENTIALS[kind][0], lf.MALA(0.1), n_particles=100, seed=3, threads=2, observers=watchers())
    whole.run(50)
    whole.save(tmp_path / "a.ckpt")
    whole.run(50)
    for level in cases.LEVELS:
        use_isa(level)
        part = lf.Simulation.load(tmp_path / "a.ckpt", backend="numba", threads=1)
        part.run(50)
        assert part.backend == "numba"
        assert_same(whole, part)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.potential.kind)
def test_built_in_potentials_come_back_to_the_bit(example: Any):
    pack = Packer()
    node = pack.node(example.potential)
    again = Unpacker(pack.arrays, {}, [], comparable=True).value(node)
    assert again.parameters.tobytes() == example.potential.parameters.tobytes()
    assert again.default_start.tobytes() == example.potential.default_start.tobytes()
    assert repr(again) == repr(example.potential)


@pytest.mark.parametrize(
    "scheme",
    [
        lf.ULA(0.1, kT=[1.0, 2.0], drag=3.0),
        lf.TamedULA(0.1),
        lf.LeimkuhlerMatthews(0.1, kT=lf.Schedule([0.0, 1.0], [1.0, 2.0])),
        lf.Splitting("OBABO", [0.1, 0.2], drag=0.5),
        lf.BAOAB(0.1, friction=0.0),
    ],
    ids=repr,
)
def test_schemes_come_back(scheme: lf.Scheme):
    pack = Packer()
    again = Unpacker(pack.arrays, {}, [], comparable=True).value(pack.node(scheme))
    assert type(again) is type(scheme) and repr(again) == repr(scheme)


@pytest.mark.parametrize("mass", [2.0, [1.0, 2.0], [[1.0], [2.0], [3.0]], np.arange(1.0, 7.0).reshape(3, 2)], ids=str)
def test_masses_come_back(mass: Any, tmp_path: Path):
    trap = lf.potentials.Harmonic([1.0, 2.0])
    whole = lf.Simulation(trap, lf.BAOAB(0.1, friction=1.0), n_particles=3, mass=mass, seed=1)
    whole.run(5)
    whole.save(tmp_path / "a.ckpt")
    part = lf.Simulation.load(tmp_path / "a.ckpt")
    assert np.array_equal(part.mass, whole.mass)
    for run in (whole, part):
        run.run(5)
    assert_same(whole, part)


def test_arrays_of_equal_numbers_come_back_to_the_bit():
    pack = Packer()
    arrays = [
        np.full((2, 3), -0.0),
        np.full(4, np.nan, np.float32),
        np.zeros(0),
        np.array([1.0, 1.0, 2.0]),
        np.ones(()),
    ]
    arrays += [np.arange(5, dtype=np.uint64), np.array([0.0, -0.0])]
    for array in arrays:
        again = Unpacker(pack.arrays, {}, [], comparable=True).value(pack.node(array))
        pack.arrays[:] = list(pack.arrays)
        assert again.dtype == array.dtype and again.shape == array.shape and again.tobytes() == array.tobytes()


def test_a_custom_observer_list_is_filled(tmp_path: Path):
    whole = lf.Simulation(WELL, lf.ULA(0.01), n_particles=40, seed=1, observers=watchers(restart=False))
    whole.run(500)
    whole.save(tmp_path / "a.ckpt")
    mine = watchers(restart=False)
    part = lf.Simulation.load(tmp_path / "a.ckpt", observers=mine)
    assert list(part.observers) == mine
    assert_same(whole, part)
    with pytest.raises(lf.CheckpointError, match="other observers: observers\\[0\\]: every is 5; in the file 3"):
        lf.Simulation.load(tmp_path / "a.ckpt", observers=[observers.Moments(every=5), *watchers(restart=False)[1:]])
    with pytest.raises(ValueError, match="has looked at a run already"):
        lf.Simulation.load(tmp_path / "a.ckpt", observers=mine)


# --- when it is refused -----------------------------------------------------------------------------------------------


def small(path: Path, **given: Any) -> lf.Simulation:
    simulation = lf.Simulation(WELL, lf.BAOAB(0.1, friction=1.0), n_particles=3, seed=1, **given)
    simulation.run(10)
    simulation.save(path)
    return simulation


def test_damage_is_found(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    whole = small(path)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for at in rng.choice(len(content), 300, replace=False).tolist():
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :])
        try:
            again = lf.Simulation.load(path)
        except lf.CheckpointError:
            continue
        assert_same(whole, again)  # what it hit means nothing
    for length in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(lf.CheckpointError, match="damaged"):
            lf.Simulation.load(path)


def test_a_good_generation_is_named(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    whole = small(path)
    whole.run(5)
    whole.save(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(lf.CheckpointError, match=r"generation before is whole, at step 10: load '.*a\.ckpt\.previous'"):
        lf.Simulation.load(path)
    assert lf.Simulation.load(f"{path}.previous").step == 10
    path.unlink()
    with pytest.raises(FileNotFoundError) as missing:
        lf.Simulation.load(path)
    assert "a.ckpt.previous" in missing.value.__notes__[0]


def changed_header(path: Path, **changed: Any) -> None:
    header, arrays = container.read(path)
    container.write(path, header | changed, arrays)


def test_other_bits_are_refused(tmp_path: Path):
    small(tmp_path / "a.ckpt")
    changed_header(tmp_path / "a.ckpt", bits=0)
    with pytest.raises(lf.CheckpointError, match="other bits"):
        lf.Simulation.load(tmp_path / "a.ckpt")
    changed_header(tmp_path / "a.ckpt", layout=99)
    with pytest.raises(lf.CheckpointError, match="layout 99"):
        lf.Simulation.load(tmp_path / "a.ckpt")


def test_a_network_belongs_to_its_level(tmp_path: Path):
    network = lf.score.NetworkPotential([([[1.0], [-1.0]], [0.0, 0.5]), ([[0.3, -0.2]], [0.1])], "tanh")
    whole = lf.Simulation(network, lf.ULA(0.01), n_particles=9, seed=1)
    whole.run(5)
    whole.save(tmp_path / "a.ckpt")
    part = lf.Simulation.load(tmp_path / "a.ckpt", potential=network)
    assert_same(whole, part)
    with pytest.raises(lf.CheckpointError, match="cannot be made from a file: give it again, as potential="):
        lf.Simulation.load(tmp_path / "a.ckpt")
    other = lf.score.NetworkPotential([([[1.0], [-1.0]], [0.0, 0.5]), ([[0.3, -0.25]], [0.1])], "tanh")
    with pytest.raises(lf.CheckpointError, match="another potential: parameters has other numbers"):
        lf.Simulation.load(tmp_path / "a.ckpt", potential=other)
    changed_header(tmp_path / "a.ckpt", level="another")
    with pytest.raises(lf.CheckpointError, match="LANGEVIN_FAST_ISA=another"):
        lf.Simulation.load(tmp_path / "a.ckpt", potential=network)


def test_another_potential_is_refused(tmp_path: Path):
    small(tmp_path / "a.ckpt")
    with pytest.raises(lf.CheckpointError, match=r"another potential: barrier is 3\.0; in the file 2\.0"):
        lf.Simulation.load(tmp_path / "a.ckpt", potential=lf.potentials.DoubleWell(3.0))
    with pytest.raises(TypeError, match="potential must be"):
        lf.Simulation.load(tmp_path / "a.ckpt", potential="x**2")
    with pytest.raises(TypeError, match="path must be a path"):
        lf.Simulation.load(3)


def test_functions_are_known_by_what_they_do(tmp_path: Path):
    def trap(stiffness: float) -> lf.potentials.Custom:
        def gradient(x: Any, out: Any) -> None:
            out[0] = stiffness * x[0]

        return lf.potentials.Custom(gradient=gradient, dim=1)

    whole = lf.Simulation(trap(1.0), lf.ULA(0.01), n_particles=2, seed=1)
    whole.run(3)
    whole.save(tmp_path / "a.ckpt")
    with pytest.raises(lf.CheckpointError, match=r"function .*gradient of the file is not there"):
        lf.Simulation.load(tmp_path / "a.ckpt")
    with pytest.raises(lf.CheckpointError, match="gradient is another function"):
        lf.Simulation.load(tmp_path / "a.ckpt", potential=trap(1.5))
    assert_same(whole, lf.Simulation.load(tmp_path / "a.ckpt", potential=trap(1.0)))
    # bytecode of another Python says nothing: names do
    changed_header(tmp_path / "a.ckpt", python="2.7")
    with pytest.warns(UserWarning, match=r"Python 2.7: functions are taken by their names"):
        lf.Simulation.load(tmp_path / "a.ckpt", potential=trap(1.5))


class Model:
    """A user's, with a gradient for all particles at once."""

    def __init__(self, k: float) -> None:
        self.k = k

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return self.k * x

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.k * x


def test_models_are_known_by_what_they_hold(tmp_path: Path):
    for of in (lambda model: model.gradient, lambda model: model):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.ckpt"
        whole = lf.Simulation(lf.potentials.Batch(gradient=of(Model(1.0)), dim=1), lf.ULA(0.01), seed=1)
        whole.run(3)
        whole.save(path)
        with pytest.raises(lf.CheckpointError, match="gradient is another function"):
            lf.Simulation.load(path, potential=lf.potentials.Batch(gradient=of(Model(2.0)), dim=1))
        assert_same(whole, lf.Simulation.load(path, potential=lf.potentials.Batch(gradient=of(Model(1.0)), dim=1)))


SCALE = 2.0


def by_global(x: Any) -> Any:
    return SCALE * x


def test_fingerprints(monkeypatch: pytest.MonkeyPatch):
    def of(source: str) -> str:
        room: dict[str, Any] = {"np": np, "__name__": "somewhere"}
        exec(textwrap.dedent(source), room)
        return fingerprint(room["f"])

    base = of("def f(x, a=1.0):\n    return a * x + 2.0")
    assert base == of("\n\ndef f(x, a=1.0):  # a comment\n    'what it does'\n    return a * x + 2.0")
    assert base != of("def f(x, a=1.5):\n    return a * x + 2.0")
    assert base != of("def f(x, a=1.0):\n    return a * x + 2.5")
    assert base != of("def f(x, a=1.0):\n    return a * x - 2.0")
    helped = "def g(x):\n    return {} * x\ndef f(x):\n    return g(x)"
    assert of(helped.format(1.0)) != of(helped.format(2.0))
    table = "t = np.array([1.0, {}])\ndef f(x):\n    return t[0] * x"
    assert of(table.format(1.0)) != of(table.format(2.0)) and of(table.format(1.0)) == of(table.format(1.0))
    assert of("def f(x):\n    return f(x)") == of("def f(x):\n    return f(x)")
    # what it counts is not what it does; where it is defined neither
    counting = "n = {}\ndef f(x):\n    global n\n    n += 1\n    return x"
    assert of(counting.format(0)) == of(counting.format(5))
    inside = "def make():\n    def f(x):\n        return 2.0 * x\n    return f\nf = make()"
    assert of(inside) == of("def f(x):\n    return 2.0 * x")
    assert of("from __future__ import annotations\ndef f(x):\n    return x") == of("def f(x):\n    return x")
    # decorators, attributes of classes, arrays of other libraries
    wrapped = "import functools\ndef by(k):\n    def decorate(g):\n        @functools.wraps(g)\n"
    wrapped += "        def inner(x):\n            return k * g(x)\n        return inner\n    return decorate\n"
    wrapped += "@by({})\ndef f(x):\n    return x"
    assert of(wrapped.format(1.0)) != of(wrapped.format(2.0)) and of(wrapped.format(1.0)) == of(wrapped.format(1.0))
    settings = "class Settings:\n    k = {}\n    other = {}\ndef f(x):\n    return Settings.k * x"
    assert of(settings.format(1, 1)) != of(settings.format(2, 1))
    assert of(settings.format(1, 1)) == of(settings.format(1, 2))
    for part in (
        "    k = {0}\n",
        "    @property\n    def k(self):\n        return {0}\n",
        "    k = functools.cached_property(lambda self: {0})\n",
    ):
        inherited = (
            "import functools\nclass A:\n" + part + "class B(A):\n    pass\nb = B()\ndef f(x):\n    return b.k * x"
        )
        assert of(inherited.format(1)) != of(inherited.format(2)) and of(inherited.format(1)) == of(inherited.format(1))
    static = "class A:\n    @staticmethod\n    def g(x):\n        return {0} * x\na = A()\ndef f(x):\n    return a.g(x)"
    assert of(static.format(1)) != of(static.format(2)) and of(static.format(1)) == of(static.format(1))
    held = "def make():\n    class A:\n        k = {}\n    def f(x):\n        return A.k * x\n    return f\nf = make()"
    assert of(held.format(1)) != of(held.format(2)) and of(held.format(1)) == of(held.format(1))
    foreign = "class T:\n    def __array__(self, dtype=None, copy=None):\n        return np.array([{}])\n"
    foreign += "t = T()\ndef f(x):\n    return t"
    assert of(foreign.format(1.0)) != of(foreign.format(2.0))
    before = fingerprint(by_global)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 2.5)
    assert fingerprint(by_global) != before
    assert fingerprint(functools.partial(by_global, 1)) != fingerprint(functools.partial(by_global, 2))


def test_fingerprints_are_those_of_every_process():
    code = "import test_checkpoints as t; from langevin_fast.fingerprints import fingerprint as f; "
    code += "print(f(t.energy), f(t.right), f(t.by_global), f(t.POTENTIALS['batch'][0]._functions[0]))"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "5",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    batch = POTENTIALS["batch"][0]
    functions = (energy, right, by_global, batch._functions[0])
    assert output.stdout.split() == [fingerprint(function) for function in functions]


# --- while it runs ----------------------------------------------------------------------------------------------------


def test_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, steps = tmp_path / "a.ckpt", []
    write = Keeper.write
    monkeypatch.setattr(Keeper, "write", lambda self: (write(self), steps.append(lf.Simulation.load(path).step)))
    simulation = lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1)
    simulation.run(100, checkpoint=path, checkpoint_every=30)
    simulation.run(30, checkpoint=path, checkpoint_every=30)
    assert steps == [30, 60, 90, 100, 120, 130]
    assert lf.Simulation.load(f"{path}.previous").step == 120
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ckpt", "a.ckpt.previous"]
    simulation.run(0, checkpoint=path)
    steps.clear()
    simulation.stepper.place = simulation.stepper.place._replace(seconds=1e-12)  # a step at a time
    simulation.run(20, checkpoint=path, checkpoint_every="1e-9 s")
    assert steps == list(range(131, 151))


@pytest.mark.parametrize("every", ["10", "ten min", "3 weeks", "0 s", "1.2.3 s", 0, 1.5])
def test_intervals_that_are_none(every: Any, tmp_path: Path):
    simulation = lf.Simulation(WELL, lf.ULA(0.01), seed=1)
    with pytest.raises((TypeError, ValueError), match="checkpoint_every"):
        simulation.run(10, checkpoint=tmp_path / "a", checkpoint_every=every)
    assert simulation.step == 0 and not list(tmp_path.iterdir())


def test_paths_that_are_none(tmp_path: Path):
    simulation = lf.Simulation(WELL, lf.ULA(0.01), seed=1)
    for path, message in (
        (tmp_path, "is a directory"),
        (tmp_path / "no" / "a", "there is no directory"),
        (3, "a path"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            simulation.run(10, checkpoint=path)
    with pytest.raises(ValueError, match="record: checkpoints do not hold it"):
        simulation.run(10, record=[observers.Frames()], checkpoint=tmp_path / "a")
    assert simulation.step == 0


def test_nothing_is_overwritten_that_would_be_lost(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    first = lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1)
    first.run(100, checkpoint=path)
    again = lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1)
    with pytest.raises(lf.CheckpointError, match=r"holds this run at step 100, which is later than the present step 0"):
        again.run(10, checkpoint=path)
    other = lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=2)
    with pytest.raises(lf.CheckpointError, match="holds another run"):
        other.run(10, checkpoint=path)
    assert (again.step, other.step, lf.Simulation.load(path).step) == (0, 0, 100)


def test_an_update_is_written_and_other_histories_are_not_overwritten(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    simulation = lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1, observers=[observers.Moments()])
    simulation.run(100, checkpoint=path)
    for kT in (3.0, 4.0):
        simulation.update(kT=kT)
        simulation.run(0, checkpoint=path)
        assert lf.Simulation.load(path).scheme.kT == kT
    simulation.run(10, checkpoint=path)
    others = {
        "observers is": lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1),
        "updated more often": lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1, observers=[observers.Moments()]),
        "change 1: scheme: kT is 5.0": lf.Simulation(
            WELL, lf.ULA(0.01), n_particles=3, seed=1, observers=[observers.Moments()]
        ),
    }
    for message, other in others.items():
        other.run(100)
        if "kT" in message:
            other.update(kT=5.0)
        other.run(100)
        with pytest.raises(lf.CheckpointError, match=f"holds another run .*{message}"):
            other.run(1, checkpoint=path)
    plain, updated = (lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1) for _ in range(2))
    plain.run(100, checkpoint=tmp_path / "c")
    updated.run(50)
    updated.update(kT=2.0)
    updated.run(100)
    with pytest.raises(lf.CheckpointError, match=r"holds another run .*updated less often"):
        updated.run(1, checkpoint=tmp_path / "c")
    lf.sample(WELL, lf.ULA(0.01), seed=5, checkpoint=tmp_path / "b", **CALL)
    other = lf.Simulation(WELL, lf.ULA(0.01), n_particles=20, initial=[-1.0], seed=5)
    other.run(300)
    with pytest.raises(lf.CheckpointError, match=r"call of lf\.sample"):
        other.run(1, checkpoint=tmp_path / "b")


def test_links_and_working_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a.ckpt")
    simulation = lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1)
    simulation.run(5, checkpoint=tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and lf.Simulation.load(tmp_path / "there" / "a.ckpt").step == 5
    monkeypatch.chdir(tmp_path / "here")

    def gradient(x: np.ndarray) -> np.ndarray:
        os.chdir(tmp_path)
        return x

    lf.Simulation(lf.potentials.Batch(gradient=gradient, dim=1), lf.ULA(0.01), seed=1).run(9, checkpoint="b.ckpt")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["b.ckpt"]
    with pytest.raises(ValueError, match="its name must have 240 bytes at most"):
        simulation.save(tmp_path / ("x" * 241))


def test_two_runs_cannot_share_a_checkpoint(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    simulation = lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1)
    with Keeper(path, 10, simulation.stepper, []):
        with pytest.raises(lf.CheckpointError, match=f"in use: process {os.getpid()} writes it"):
            simulation.run(10, checkpoint=path)
        with pytest.raises(lf.CheckpointError, match="in use"):
            simulation.save(path)
    simulation.run(10, checkpoint=path)
    assert lf.Simulation.load(path).step == 10


@pytest.mark.parametrize("fails", ["fsync", "replace", "link"])
def test_a_write_that_fails_leaves_the_old_one(fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.ckpt"
    simulation = small(path)

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, fails, full)
        if fails == "link":  # a file system without links
            replace = os.replace
            there: list[bool] = []
            patch.setattr(os, "replace", lambda *a: (there.append(path.exists()), replace(*a)))
            simulation.run(5, checkpoint=path)
            assert there == [True, True]
            assert lf.Simulation.load(f"{path}.previous").step == 10
            return
        with pytest.raises(lf.CheckpointError, match=r"cannot be written: .*No space left"):
            simulation.run(100, checkpoint=path, checkpoint_every=20)
    assert simulation.step == 20  # it stands where it could not be written
    assert lf.Simulation.load(path).step == 10
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]
    simulation.run(80, checkpoint=tmp_path / "b.ckpt")
    assert_same(simulation, lf.Simulation.load(tmp_path / "b.ckpt"))


def test_a_run_that_is_stopped_is_written(tmp_path: Path):
    calls = []

    def failing(x: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) > 50:
            raise ZeroDivisionError("of the user's")
        return x

    simulation = lf.Simulation(lf.potentials.Batch(gradient=failing, dim=1), lf.ULA(0.01), seed=1)
    with pytest.raises(ZeroDivisionError):
        simulation.run(100, checkpoint=tmp_path / "a.ckpt")
    header, _ = container.read(tmp_path / "a.ckpt")
    assert header["step"] == simulation.step > 10


@pytest.mark.parametrize("frames", [False, True])
def test_ctrl_c_while_it_is_written(frames: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It takes effect when the file is whole, with what was computed."""
    path, fsync, calls = tmp_path / "a.ckpt", os.fsync, []

    def interrupted(descriptor: int) -> None:
        calls.append(1)
        if len(calls) in (3, 4):
            os.kill(os.getpid(), signal.SIGINT)
        fsync(descriptor)

    call = {**CALL, "stride": 7 if frames else None}
    whole = lf.sample(WELL, lf.ULA(0.01), seed=5, **call)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(lf.Interrupted) as stopped:
            lf.sample(WELL, lf.ULA(0.01), seed=5, checkpoint=path, checkpoint_every=10, **call)
    assert stopped.value.trajectory is not None
    assert not list(tmp_path.glob("*.lock")) and not list(tmp_path.glob(".*"))
    part = lf.sample(WELL, lf.ULA(0.01), checkpoint=path, **call)
    assert part.positions.tobytes() == whole.positions.tobytes()
    assert part.last.positions.tobytes() == whole.last.positions.tobytes()


def test_frames_that_were_written_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An error after the frames are written and before they count; the last write has them once more."""
    path, fsync, calls = tmp_path / "a.ckpt", os.fsync, []

    def failing(descriptor: int) -> None:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        fsync(descriptor)

    whole = lf.sample(WELL, lf.ULA(0.01), seed=5, **CALL)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(lf.Interrupted):
            lf.sample(WELL, lf.ULA(0.01), seed=5, checkpoint=path, checkpoint_every=10, **CALL)
    part = lf.sample(WELL, lf.ULA(0.01), checkpoint=path, **CALL)
    assert part.positions.tobytes() == whole.positions.tobytes()


def test_a_last_write_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = lf.sample(WELL, lf.ULA(0.01), seed=5, **CALL)
    write = Keeper.write

    def full(self: Keeper) -> None:
        if self._stepper.state.step < 120:
            write(self)
        else:
            raise lf.CheckpointError("full")

    monkeypatch.setattr(Keeper, "write", full)
    with pytest.raises(lf.CheckpointError, match="full") as stopped:
        lf.sample(WELL, lf.ULA(0.01), seed=5, checkpoint=tmp_path / "a", **CALL)
    assert stopped.value.trajectory.positions.tobytes() == whole.positions.tobytes()


class Ring(lf.regions.Region):
    """A user's region, which does not show its argument."""

    def __init__(self, radius: float) -> None:
        self._radius = radius

    def formula(self, dim: int) -> str:
        return f"x[0]**2 > {self._radius**2!r}"

    def __repr__(self) -> str:
        return f"Ring({self._radius})"


def test_what_a_file_cannot_make_is_given_again(tmp_path: Path):
    whole = lf.Simulation(WELL, lf.ULA(0.01), n_particles=9, seed=1, observers=[observers.FirstPassage(Ring(0.5))])
    whole.run(20, checkpoint=tmp_path / "a")
    with pytest.raises(lf.CheckpointError, match=r"Ring\(0\.5\) cannot be made from a file"):
        lf.Simulation.load(tmp_path / "a")
    with pytest.raises(lf.CheckpointError, match="other observers"):
        lf.Simulation.load(tmp_path / "a", observers=[observers.FirstPassage(Ring(0.75))])
    assert_same(whole, lf.Simulation.load(tmp_path / "a", observers=[observers.FirstPassage(Ring(0.5))]))


def test_numbers_and_texts_of_numpy_are_those_of_python(tmp_path: Path):
    def mine() -> list[observers.Observer]:
        return [
            observers.Histogram("x", bins=10, range=(np.float64(-2), np.float32(2))),
            observers.FirstPassage(np.str_("x > 1")),
            observers.Moments(every=np.int64(3)),
        ]

    for _ in range(2):
        run = lf.sample(WELL, lf.ULA(0.01), seed=1, observers=mine(), checkpoint=tmp_path / "a", **CALL)
    assert run.observers[2].every == 3


def test_a_loaded_run_that_diverges_says_why(tmp_path: Path):
    def start() -> lf.Simulation:
        return lf.Simulation(lf.potentials.DoubleWell(), lf.ULA(0.2), n_particles=30, seed=1)

    with pytest.raises(lf.DivergenceError, match="Use a smaller step_size"):
        start().run(300, checkpoint=tmp_path / "a")
    with pytest.raises(lf.DivergenceError, match="Use a smaller step_size"):
        lf.Simulation.load(tmp_path / "a").run(300)


SCRIPT = """
import sys, signal, langevin_fast as lf
{before}
simulation = lf.Simulation(lf.potentials.DoubleWell(), lf.ULA(0.01), n_particles=1000, seed=1)
print("begins", flush=True)
simulation.run(10**9, checkpoint=sys.argv[1])
"""


@pytest.mark.parametrize("handled", [False, True])
def test_sigterm_leaves_a_checkpoint(handled: bool, tmp_path: Path):
    before = "signal.signal(signal.SIGTERM, lambda *a: sys.exit(7))" if handled else ""
    path = tmp_path / "a.ckpt"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(before=before), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    while not (path.with_name("a.ckpt.lock")).exists():
        assert process.poll() is None
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    with cases.bounded_work():
        process.communicate()
    assert process.returncode == (7 if handled else -signal.SIGTERM)
    assert lf.Simulation.load(path).step > 0


@pytest.mark.slow
def test_runs_that_are_killed():
    command = [sys.executable, str(ROOT / "tools" / "kill_test.py"), "--times", "16", "--scale", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("16 kills, 0 runs with other bits\n")


# --- lf.sample --------------------------------------------------------------------------------------------------------

CALL: dict[str, Any] = {"n_steps": 100, "burn_in": 20, "stride": 7, "n_particles": 20, "initial": [-1.0]}


@pytest.mark.parametrize("scheme", [lf.BAOAB(0.05, friction=1.0), lf.MALA(0.1)], ids=["BAOAB", "MALA"])
@pytest.mark.parametrize("stop", [5, 20, 21, 63, 119])
def test_a_call_goes_on(stop: int, scheme: lf.Scheme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = lf.sample(WELL, scheme, seed=5, observers=[*watchers(restart=False), observers.Frames(3)], **CALL)
    path = tmp_path / "a.ckpt"

    def reached(self: Keeper) -> None:
        self.write()
        if self._stepper.state.step >= stop:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "reached", reached)
        patch.setattr(Keeper, "next_step", lambda self, step: step + 1 if step < stop else stop + 1)
        with pytest.raises(lf.Interrupted):
            lf.sample(
                WELL,
                scheme,
                seed=5,
                observers=[*watchers(restart=False), observers.Frames(3)],
                checkpoint=path,
                **CALL,
            )
    for _ in range(2):  # to the end, and read once more
        mine = [*watchers(restart=False), observers.Frames(3)]
        part = lf.sample(WELL, scheme, observers=mine, checkpoint=path, **CALL)
        assert part.seed == 5 and list(part.observers) == mine
        for name in ("positions", "velocities", "steps", "times", "acceptance_rate", "diverged"):
            x, y = getattr(whole, name), getattr(part, name)
            assert (x is None and y is None) or x.tobytes() == y.tobytes(), name
        for one, other in zip(whole.last.observed, part.last.observed, strict=True):
            assert [x.tobytes() for x in one.arrays] == [x.tobytes() for x in other.arrays]
        assert mine[-1].positions.tobytes() == whole.observers[-1].positions.tobytes()
        assert repr(mine[:-1]) == repr(list(whole.observers[:-1]))
    assert not list(tmp_path.glob("*.lock"))


def test_a_call_with_other_arguments_is_refused(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    lf.sample(WELL, lf.ULA(0.01), seed=5, checkpoint=path, **CALL)
    for other, message in (
        ({"n_steps": 99}, "n_steps=99; in the file 100 were made"),
        ({"seed": 6}, "seed is 6; in the file 5"),
        ({"initial": [-0.5]}, "first: positions has other numbers"),
        ({"stride": 10}, r"frames=\[\[10, 0\]\]"),
    ):
        with pytest.raises(lf.CheckpointError, match=f"call with other arguments: .*{message}"):
            lf.sample(WELL, lf.ULA(0.01), **{"seed": 5, **CALL, **other}, checkpoint=path)
    with pytest.raises(lf.CheckpointError, match=r"scheme: step_size is 0\.02; in the file 0\.01"):
        lf.sample(WELL, lf.ULA(0.02), seed=5, checkpoint=path, **CALL)
    with pytest.raises(lf.CheckpointError, match="other observers"):
        lf.sample(WELL, lf.ULA(0.01), observers=[observers.Moments()], checkpoint=path, **CALL)
    with pytest.raises(lf.CheckpointError, match=r"belongs to lf\.sample"):
        lf.Simulation.load(path)
    frames = tmp_path / "a.ckpt.frames0"
    frames.write_bytes(frames.read_bytes()[:-8])
    with pytest.raises(lf.CheckpointError, match="damaged: it does not hold the 14 frames"):
        lf.sample(WELL, lf.ULA(0.01), seed=5, checkpoint=path, **CALL)
    path.rename(f"{path}.previous")
    with pytest.raises(lf.CheckpointError, match="is not there, but the generation before"):
        lf.sample(WELL, lf.ULA(0.01), seed=5, checkpoint=path, **CALL)
    small(path)
    with pytest.raises(lf.CheckpointError, match=r"belongs to a Simulation: lf\.Simulation\.load"):
        lf.sample(WELL, lf.ULA(0.01), seed=5, checkpoint=path, **CALL)


@pytest.mark.parametrize("scheme", [lf.BAOAB(0.05, friction=1.0), lf.MALA(0.1)], ids=["BAOAB", "MALA"])
def test_a_call_goes_on_to_more_steps(scheme: lf.Scheme, tmp_path: Path):
    def call(n_steps: int, **more: Any) -> lf.Trajectory:
        mine = [*watchers(restart=False), observers.Frames(3)]
        return lf.sample(WELL, scheme, seed=5, observers=mine, **{**CALL, **more, "n_steps": n_steps})

    whole = call(230)
    with pytest.warns(UserWarning, match="stride=7 is larger than n_steps=3"):
        call(3, checkpoint=tmp_path / "a.ckpt")
    for n_steps in (40, 100, 230):
        part = call(n_steps, checkpoint=tmp_path / "a.ckpt")
        assert part.positions.tobytes() == whole.positions[: len(part.positions)].tobytes()
    assert part.acceptance_rate is None or part.acceptance_rate.tobytes() == whole.acceptance_rate.tobytes()
    assert repr(part.observers[:-1]) == repr(whole.observers[:-1])
    assert part.observers[-1].positions.tobytes() == whole.observers[-1].positions.tobytes()
    for one, other in zip(whole.last.observed, part.last.observed, strict=True):
        assert [x.tobytes() for x in one.arrays] == [x.tobytes() for x in other.arrays]


def test_a_call_that_diverged_goes_on_with_freeze(tmp_path: Path):
    path, call = tmp_path / "a.ckpt", {"n_steps": 300, "n_particles": 30, "seed": 1, "stride": 50}
    well = lf.potentials.DoubleWell()
    whole = lf.sample(well, lf.ULA(0.2), on_divergence="freeze", **call)
    assert (whole.diverged >= 0).any()
    with pytest.raises(lf.DivergenceError):
        lf.sample(well, lf.ULA(0.2), checkpoint=path, **call)
    part = lf.sample(well, lf.ULA(0.2), checkpoint=path, on_divergence="freeze", **call)
    assert part.positions.tobytes() == whole.positions.tobytes()
    assert part.diverged.tolist() == whole.diverged.tolist()
    with pytest.raises(lf.CheckpointError, match='on_divergence="raise"; in the file "freeze"'):
        lf.sample(well, lf.ULA(0.2), checkpoint=path, **call)
    (tmp_path / "a.ckpt.frames0").unlink()
    with pytest.raises(lf.CheckpointError, match="frames0' is missing"):
        lf.sample(well, lf.ULA(0.2), checkpoint=path, on_divergence="freeze", **call)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(lf.CheckpointError, match=r"move .*previous' there and call lf\.sample again"):
        lf.sample(well, lf.ULA(0.2), checkpoint=path, on_divergence="freeze", **call)


def test_frames_beyond_the_checkpoint_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, frames = tmp_path / "a.ckpt", tmp_path / "a.ckpt.frames0"
    whole = lf.sample(WELL, lf.ULA(0.01), seed=5, **CALL)
    replace = os.replace

    def killed(*arguments: Any) -> None:  # after the frames are written, before the checkpoint takes its place
        if frames.exists() and frames.stat().st_size > 6 * 20 * 8:
            raise OSError("killed")
        replace(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(lf.CheckpointError):
            lf.sample(WELL, lf.ULA(0.01), seed=5, checkpoint=path, checkpoint_every=10, **CALL)
    assert frames.stat().st_size == 7 * 20 * 8
    part = lf.sample(WELL, lf.ULA(0.01), checkpoint=path, checkpoint_every=10, **CALL)
    assert part.positions.tobytes() == whole.positions.tobytes()
    assert frames.read_bytes() == whole.positions.tobytes()


def test_copies_and_pickles_go_on():
    whole = lf.Simulation(WELL, lf.MALA(0.1), n_particles=20, initial=[-1.0], seed=1, observers=watchers())
    whole.run(40)
    others = [pickle.loads(pickle.dumps(whole)), copy.deepcopy(whole)]
    whole.run(40)
    for other in others:
        other.run(40)
        assert_same(whole, other)
    run = lf.sample(WELL, lf.ULA(0.01), seed=1, observers=watchers(restart=False), **CALL)
    for again in (pickle.loads(pickle.dumps(run)), copy.deepcopy(run)):
        assert again.replay([2]).positions.tobytes() == run.replay([2]).positions.tobytes()
        assert again.observers[0].mean.tobytes() == run.observers[0].mean.tobytes()


def test_the_archive_is_one_that_others_read(tmp_path: Path):
    simulation = small(tmp_path / "a.ckpt")
    with zipfile.ZipFile(tmp_path / "a.ckpt") as archive:
        assert archive.testzip() is None
    content = np.load(tmp_path / "a.ckpt")
    assert any(np.array_equal(content[name], simulation.positions) for name in content.files if name != "header.json")


def test_stages_have_no_checkpoints(tmp_path: Path):
    staged = stages.StagedSimulation([WELL] * 2, [lf.ULA(0.01), lf.ULA(0.02)], 5, seed=1)
    with pytest.raises(TypeError, match="stages has no checkpoints"):
        staged.save(tmp_path / "a.ckpt")


def test_the_number_of_the_bits_belongs_to_the_digests():
    """Who changes the digests of runs raises BITS and writes the new pair here."""
    digests = json.loads((ROOT / "tests" / "data" / "digests.json").read_text())
    runs = {
        name: value for name, value in digests.items() if name.startswith(("ULA | DoubleWell", "BAOAB | DoubleWell"))
    }
    assert runs
    total = hashlib.sha256(json.dumps(runs, sort_keys=True).encode()).hexdigest()[:16]
    assert (BITS, total) == (1, "c01134094340e33f")
