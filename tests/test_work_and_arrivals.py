"""Work and heat, and particles that stop or start anew where they arrive: bits, balances and exact laws."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import pickle

import numpy as np
import pytest
from cases import PRECISIONS, run_python

import langevin_fast as lf
from langevin_fast import stepping
from langevin_fast.stages import StagedSimulation

obs = lf.observers
H = 1 / 64
RAMP = lf.Schedule([0.125, 0.5], [1.0, 3.0])
WELL = lf.potentials.DoubleWell()
STEEP = lf.potentials.DoubleWell(8.0)

SCHEMES = {
    "ULA": lambda kT=1.0, h=H: lf.ULA(h, kT=kT),
    "LeimkuhlerMatthews": lambda kT=1.0, h=H: lf.LeimkuhlerMatthews(h, kT=kT),
    "MALA": lambda kT=1.0, h=H: lf.MALA(4 * h, kT=kT),
    "BAOAB": lambda kT=1.0, h=H: lf.BAOAB(4 * h, friction=0.75, kT=kT),
    "OBABO": lambda kT=1.0, h=H: lf.Splitting("OBABO", 4 * h, drag=0.75, kT=kT),
}
each_scheme = pytest.mark.parametrize("scheme", SCHEMES)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


def batch_of(u):
    return lf.potentials.Batch(gradient=u.gradient, energy=u.energy, dim=u.dim, start=u.default_start)


# === work =============================================================================================================

DRIVEN = {
    "Harmonic": lambda k: lf.potentials.Harmonic([1.5, 1.0], center=lf.Schedule(k.times, np.outer(k.values, [1, -1]))),
    "DoubleWell": lambda k: lf.potentials.DoubleWell(barrier=k, dim=2),
    "Expression": lambda k: lf.potentials.Expression("k*x**2/2 + cos(k)*x + y**2", variables=("x", "y"), k=k),
}


def total_energy(run):
    x, u = run.positions.astype(float), run.potential
    energy = u.energy(x, run.time) if hasattr(u, "at") else u.energy(x)
    if run.velocities is None:
        return energy
    return energy + (0.5 * run.mass * np.square(run.velocities.astype(float))).sum(axis=1)


@each_precision
@each_scheme
@pytest.mark.parametrize("driven", [*DRIVEN, "kT", "fixed", "walls"])
def test_energies_add_up(driven, scheme, precision):
    sizes = (1, 5, 70)
    if driven == "Expression":  # compiling takes a while
        sizes, precision = (5, 70), "double"
    u = DRIVEN.get(driven, DRIVEN["DoubleWell"])(RAMP if driven in DRIVEN else 2.0)
    walls = {"boundary": lf.Reflecting([-1.25, None], [-0.5, 0.5])} if driven == "walls" else {}
    made = SCHEMES[scheme](RAMP if driven == "kT" else 1.0)
    for n in sizes:
        mass = {} if made.overdamped else {"mass": 1.0 + np.arange(n)[:, np.newaxis] % 3}
        work, frames = obs.Work(), obs.Frames()
        run = lf.Simulation(u, made, n_particles=n, seed=2, precision=precision, observers=[work], **mass, **walls)
        x, first = run.positions[np.newaxis], total_energy(run)
        for length in (1, 30, 20):
            run.run(length)
            change = total_energy(run) - first
            scale = 1e-12 if precision == "double" else 1e-4
            np.testing.assert_allclose(
                work.work + work.heat + work.shadow, change, atol=scale * (1 + abs(change)).max()
            )
        if driven not in DRIVEN:
            assert not work.work.any()
        assert work.shadow.any() != made.overdamped
        if n == 5:
            plain = lf.Simulation(u, made, n_particles=n, seed=2, precision=precision, **mass, **walls)
            plain.run(51, record=[frames])
            np.testing.assert_array_equal(frames.positions[-1], run.positions)
            if driven in DRIVEN:
                x, times = np.concatenate([x, frames.positions]).astype(float), np.append(0.0, frames.times)
                jumps = u.energy(x[:-1], times[1:]) - u.energy(x[:-1], times[:-1])
                np.testing.assert_allclose(work.work, jumps.sum(axis=0), rtol=1e5 * scale, atol=10 * scale)


def worked(scheme, parts=(40,), u=None, n=70, **arguments):
    run = lf.Simulation(
        DRIVEN["DoubleWell"](RAMP) if u is None else u,
        SCHEMES[scheme](RAMP),
        **{"n_particles": n, "seed": 3, "observers": [obs.Work(), obs.Expectation("energy", every=3)], **arguments},
    )
    for part in parts:
        run.run(part)
    return run


def assert_same_ledger(a, b, particles=slice(None)):
    for name in ("work", "heat", "shadow"):
        np.testing.assert_array_equal(
            getattr(a.observers[0], name), getattr(b.observers[0], name)[particles], err_msg=name
        )
    np.testing.assert_array_equal(a.positions, b.positions[particles])


@each_precision
@each_scheme
def test_the_same_bits_however_it_is_made(scheme, precision, use_isa, monkeypatch):
    make = functools.partial(worked, scheme, precision=precision)
    whole = make(threads=1)
    assert_same_ledger(make(threads=5), whole)
    assert_same_ledger(make([1, 0, 30, 9]), whole)
    for streams in ([17], [69, 3, 40, 0, 5], range(33, 70)):
        assert_same_ledger(make(n=None, streams=streams), whole, list(streams))
    half = make([13])
    for twin in (copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))):
        other = twin(half)
        other.run(27)
        assert_same_ledger(other, whole)
    monkeypatch.setattr(stepping, "_LONGEST_CHUNK", 7)
    assert_same_ledger(make(), whole)
    monkeypatch.setattr("langevin_fast.rows._TABLE_BYTES", 2000)
    assert_same_ledger(make(), whole)
    use_isa("baseline")
    assert_same_ledger(make(), whole)


@each_precision
@each_scheme
def test_the_same_bits_whoever_makes_the_steps(scheme, precision):
    """Functions of all particles at once have no schedules, but kT has."""
    for n in (1, 5, 70):
        make = functools.partial(worked, scheme, precision=precision, n=n)
        cpp = make(u=WELL)
        assert_same_ledger(make([1, 39], u=batch_of(WELL)), cpp)
        if n == 5 and precision == "double":
            u = lf.potentials.DoubleWell(barrier=RAMP)
            assert_same_ledger(make(u=u, backend="numba"), make(u=u))


def test_parts_of_a_run():
    parts, whole = [obs.Work() for _ in range(3)], obs.Work()
    run = lf.Simulation(DRIVEN["DoubleWell"](RAMP), SCHEMES["BAOAB"](), n_particles=9, seed=1, observers=[whole])
    for n, part in zip((10, 0, 30), parts, strict=True):
        run.run(n, record=[part])
    both = sum(parts)
    for name in ("work", "heat", "shadow"):
        np.testing.assert_allclose(getattr(both, name), getattr(whole, name), rtol=1e-12)


WILD = {"ULA": lf.ULA(0.05), "MALA": lf.MALA(0.05), "BAOAB": lf.BAOAB(0.4, friction=1.0)}


def wild(scheme, kind, observers, **arguments):
    """Some particles diverge soon (of MALA, none)."""
    u = STEEP if kind == "cpp" else batch_of(STEEP)
    return lf.Simulation(u, WILD[scheme], n_particles=9, seed=1, initial=[-1.0], observers=observers, **arguments)


@pytest.mark.parametrize("kind", ["cpp", "batch"])
@pytest.mark.parametrize("scheme", WILD)
def test_a_particle_that_diverges_has_done_its_work(scheme, kind):
    work = obs.Work()
    run = wild(scheme, kind, [work], on_divergence="freeze")
    run.run(40)
    assert (run.diverged >= 0).any() == (scheme != "MALA")
    for particle, step in enumerate(run.diverged):
        until = 40 if step < 0 else step - 1
        alone = lf.Simulation(STEEP, WILD[scheme], seed=1, initial=[-1.0], streams=[particle], observers=[obs.Work()])
        alone.run(int(until))
        for name in ("work", "heat", "shadow"):
            np.testing.assert_array_equal(getattr(alone.observers[0], name), getattr(work, name)[[particle]])


@pytest.mark.parametrize("kind", ["cpp", "batch"])
def test_a_run_that_diverges_has_worked_up_to_the_step_before(kind):
    run = wild("BAOAB", kind, [obs.Work()])
    with pytest.raises(lf.DivergenceError) as caught:
        run.run(40)
    expected = wild("BAOAB", "cpp", [obs.Work()])
    expected.run(caught.value.step - 1)
    assert_same_ledger(run, expected)


def test_stages():
    work = obs.Work()
    traps = [lf.potentials.Harmonic(k) for k in (1.0, 4.0)]
    run = StagedSimulation(traps, [lf.ULA(H)] * 2, 10, n_particles=5, seed=1, initial=[1.0])
    frames = obs.Frames()
    run.run(25, record=[work, frames])
    x = frames.positions[9]
    np.testing.assert_allclose(work.work, traps[1].energy(x) - traps[0].energy(x), rtol=1e-12)


def test_without_energies():
    u = lf.potentials.Batch(gradient=WELL.gradient, dim=1)
    with pytest.raises(ValueError, match="Work needs the energy"):
        lf.Simulation(u, lf.ULA(H), observers=[obs.Work()])


@pytest.mark.parametrize("u", [WELL, batch_of(WELL)], ids=repr)
def test_two_that_account(u):
    run = lf.Simulation(u, SCHEMES["BAOAB"](), n_particles=3, seed=1, observers=[obs.Work(), obs.Work()])
    run.run(10)
    for name in ("work", "heat", "shadow"):
        np.testing.assert_array_equal(getattr(run.observers[0], name), getattr(run.observers[1], name))
    assert run.observers[0].heat.all()


# --- what is exact ----------------------------------------------------------------------------------------------------


def z_score(values, expected):
    return (values.mean() - expected) / (values.std() / math.sqrt(len(values)))


def works(scheme, stiffness, center, n=20_000, kT=0.75, steps=40, seed=1):
    """Work (and shadow work) on particles that are in equilibrium at the first values of a trap."""
    begin = [float(s.values[0]) if isinstance(s, lf.Schedule) else s for s in (stiffness, center)]
    start = begin[1] + math.sqrt(kT / begin[0]) * np.random.default_rng(seed).normal(size=(n, 1))
    work = obs.Work()
    trap = lf.potentials.Harmonic(stiffness, center=center)
    lf.sample(trap, scheme, n_steps=steps, initial=start, stride=None, seed=seed, observers=[work])
    return work


def ramp(a, b):
    return lf.Schedule([0.0, 1.0], [a, b])


PROTOCOLS = {  # stiffness, center; forward and backward; the difference in free energy, in kT
    "drag": ((1.5, ramp(0.0, 1.0)), (1.5, ramp(1.0, 0.0)), 0.0),
    "stiffen": ((ramp(1.0, 4.0), 0.0), (ramp(4.0, 1.0), 0.0), math.log(4.0) / 2),
    "both": ((ramp(3.0, 1.0), ramp(-0.5, 0.5)), (ramp(1.0, 3.0), ramp(0.5, -0.5)), -math.log(3.0) / 2),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "scheme",
    [lf.MALA(1 / 40, kT=0.75), lf.BAOAB(1 / 10, friction=2.0, kT=0.75), lf.Splitting("OBABO", 1 / 8, drag=1, kT=0.75)],
    ids=lambda scheme: scheme.letters,
)
def test_jarzynski(scheme, protocol):
    """Exact at any step size: MALA keeps each distribution, and shadow work makes up for what A and B do; |z| < 4."""
    forward, _, difference = PROTOCOLS[protocol]
    work = works(scheme, *forward)
    assert abs(z_score(np.exp(-(work.work + work.shadow) / 0.75 + difference), 1.0)) < 4


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_crooks(protocol):
    """Forward and backward work have densities that cross at the difference in free energy, and so on; |z| < 4."""
    forward, backward, difference = PROTOCOLS[protocol]
    there, back = (works(lf.MALA(1 / 40, kT=0.75), *p, seed=seed) for p, seed in ((forward, 1), (backward, 2)))
    a, b = there.work / 0.75 - difference, -back.work / 0.75 - difference
    for function in (
        lambda w: 1 / (1 + np.exp(w)),  # Bennett
        lambda w: np.exp(-w / 2),
        lambda w: np.exp(-w / 2) * (np.abs(w) < 0.5),
        lambda w: np.exp(-w / 2) * (np.abs(w - 1) < 0.5),
    ):
        # E_F[f(w)] = E_B[f(w) exp(w)]
        x, y = function(a), function(b) * np.exp(b)
        assert abs(x.mean() - y.mean()) < 4 * math.sqrt((x.var() + y.var()) / len(x))
    crossing = [(np.abs(w) < 0.1).sum() for w in (a, b)]
    assert abs(crossing[0] - crossing[1]) < 4 * math.sqrt(sum(crossing))


def test_a_trap_that_is_dragged_without_inertia():
    """The mean work of the discrete chain, exactly; and a normal distribution whose variance is twice it; |z| < 4."""
    h, k, kT, n, steps = 1 / 200, 1.5, 0.75, 20_000, 300
    center = ramp(0.0, 1.0)
    work = works(lf.ULA(h, kT=kT), k, center, n=n, steps=steps).work
    c = np.array([center(i * h) for i in range(steps + 1)])
    mean = expected = 0.0
    for before, after in itertools.pairwise(c):
        expected += -k * (after - before) * (mean - (before + after) / 2)
        mean -= h * k * (mean - after)
    assert abs(z_score(work, expected)) < 4
    assert work.var() == pytest.approx(2 * kT * expected, rel=4 * math.sqrt(2 / n) + 2 * h * k)


# === arrivals =========================================================================================================


def passage(mode, **arguments):
    return obs.FirstPassage("x > 0", on_arrival=mode, **arguments)


def arriving(scheme, mode, parts=(150,), n=9, more=(), record=(), u=WELL, **arguments):
    """Particles that begin on the left, and what is seen of them; `more` look too, and `record` at the first part."""
    when = arguments.pop("when", {})
    run = lf.Simulation(
        *(u, SCHEMES[scheme](h=1 / 50)),
        **{"n_particles": n, "seed": 6, "initial": [-0.5], **arguments},
        observers=[passage(mode, **when), *more],
    )
    for part in parts:
        run.run(part, record=list(record))
        record = ()
    return run


@pytest.mark.parametrize("when", [{}, {"every": 3, "start": 4}], ids=str)
@each_precision
@each_scheme
def test_stop(scheme, precision, when):
    """Everything is as if nobody stopped, up to the arrival; then nothing changes."""
    for n in (1, 5, 70):
        frames, all_frames = obs.Frames(), obs.Frames()
        arguments = {"n": n, "precision": precision, "when": when}
        run = arriving(scheme, "stop", record=[frames], **arguments)
        free = arriving(scheme, "continue", record=[all_frames], **arguments)
        first, others = run.observers[0], free.observers[0]
        np.testing.assert_array_equal(first.steps, others.steps)
        np.testing.assert_array_equal(first.times, others.times)
        np.testing.assert_array_equal(first.arrivals, others.arrived)
        np.testing.assert_array_equal(run.state.stopped, first.steps)
        if n == 70:
            assert first.arrived.sum() > 20 and first.mean == others.mean and first.error == others.error
        last = np.where(first.arrived, first.steps, 150) - 1
        expected = np.minimum(np.arange(150)[:, np.newaxis], last)
        for name in ("positions", "velocities"):
            if getattr(frames, name) is None:
                continue
            whole = getattr(all_frames, name)
            np.testing.assert_array_equal(getattr(frames, name), whole[expected, np.arange(n)])
            np.testing.assert_array_equal(getattr(run, name), whole[last, np.arange(n)])
        assert run.step == 150 and (frames.steps == np.arange(1, 151)).all()


def watched():
    return [
        obs.Moments(),
        obs.Expectation("energy", every=2),
        obs.MeanSquaredDisplacement(longest=20),
        obs.Histogram("x[0]", bins=5, range=(-2, 2)),
        obs.Work(),
    ]


@each_scheme
def test_what_others_see_ends_with_the_arrival(scheme):
    n, metropolised = 40, scheme == "MALA"
    run = arriving(scheme, "stop", n=n, more=[*watched(), *([obs.Acceptance()] if metropolised else [])])
    arrived = run.observers[0]
    ends = np.where(arrived.arrived, arrived.steps, 150)
    assert (ends < 150).sum() > 5
    moments, energy, msd, counts, work = run.observers[1:6]
    np.testing.assert_array_equal(moments.n_samples, ends)
    np.testing.assert_array_equal(energy.n_samples, ends // 2)
    assert counts.counts.sum() <= ends.sum()
    total = np.zeros(5, int)
    for particle in range(n):
        alone = lf.Simulation(
            *(WELL, run.scheme),
            **{"seed": 6, "initial": [-0.5], "streams": [particle]},
            observers=[*watched(), *([obs.Acceptance()] if metropolised else [])],
        )
        alone.run(int(ends[particle]))
        own = alone.observers
        total += own[3].counts
        assert own[0].mean[0] == moments.mean[particle]
        np.testing.assert_array_equal(own[1].per_particle[0], energy.per_particle[particle])  # NaN where none was seen
        pairs = msd._contents.observed.reals[:, particle]  # below are batches in time, which a crowd does not have
        assert pairs.tolist() == own[2]._contents.observed.reals[: len(pairs), 0].tolist()
        for name in ("work", "heat", "shadow"):
            assert getattr(own[4], name)[0] == getattr(work, name)[particle]
        if metropolised:
            assert own[5].per_particle[0] == run.observers[6].per_particle[particle]
    np.testing.assert_array_equal(total, counts.counts)


def assert_same_run(a, b, particles=slice(None)):
    """Of the present positions, the frames and what observers saw of arrivals."""
    np.testing.assert_array_equal(a.positions, b.positions[particles])
    for mine, other in zip(a.observers, b.observers, strict=True):
        for name in ("steps", "arrivals", "n_samples", "work", "heat"):
            if hasattr(type(mine), name):
                np.testing.assert_array_equal(getattr(mine, name), getattr(other, name)[particles], err_msg=name)


@pytest.mark.parametrize("n", [1, 5, 70])
@pytest.mark.parametrize("mode", ["stop", "restart"])
@each_scheme
def test_chunks(scheme, mode, n, monkeypatch):
    """Particles leave their groups, or start anew, wherever chunks and runs end."""
    make = functools.partial(arriving, scheme, mode, n=n)
    whole = make(more=[obs.Moments(), obs.Work()])
    assert whole.observers[0].arrivals.sum() > 0
    assert_same_run(make([1, 0, 77, 2, 70], more=[obs.Moments(), obs.Work()]), whole)
    assert_same_run(make([3] * 50), make())
    for longest in (1, 2, 16, 37):
        for shortest in (1, 16):
            monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
            monkeypatch.setattr(stepping, "_SHORTEST_UNTIL_ARRIVALS", shortest)
            np.testing.assert_array_equal(make().positions, whole.positions)
            assert_same_run(make(more=[obs.Moments(), obs.Work()]), whole)


@pytest.mark.parametrize("mode", ["stop", "restart"])
@each_precision
@each_scheme
def test_the_same_bits_for_arrivals(scheme, precision, mode, isa):
    make = functools.partial(arriving, scheme, mode, n=70, precision=precision, when={"every": 2})
    whole = make(threads=1)
    assert_same_run(make(threads=5), whole)
    for streams in ([17], [69, 3, 40, 0, 5], range(33, 70)):
        assert_same_run(make(n=None, streams=streams), whole, list(streams))
    half = make([61])
    for twin in (copy.copy, copy.deepcopy):
        other = twin(half)
        other.run(89)
        assert_same_run(other, whole)
    if isa == "baseline":
        assert_same_run(make(u=batch_of(WELL)), whole)
        assert_same_run(make([1, 60, 89], u=batch_of(WELL)), whole)


IN_NUMBA = """
import numpy as np, langevin_fast as lf
u, arguments = lf.potentials.DoubleWell(), {"n_particles": 16, "seed": 6, "initial": [-0.5]}
for mode in ("stop", "restart"):
    runs = []
    for backend in ("cpp", "numba"):
        passage = lf.observers.FirstPassage("x > 0", on_arrival=mode)
        runs.append(lf.Simulation(u, lf.ULA(1 / 50), backend=backend, observers=[passage], **arguments))
        for _ in range(30):
            runs[-1].run(20)
    assert np.array_equal(runs[0].positions, runs[1].positions), mode
    assert mode == "restart" or (runs[0].state.stopped >= 0).sum() > 11
"""


def test_the_same_bits_in_numba():
    """In a process of its own: the groups that remain are of all sizes, and each has its function."""
    done = run_python("-c", IN_NUMBA)
    assert done.returncode == 0, done.stderr


def test_when_all_have_arrived():
    frames, later = obs.Frames(every=10), obs.Frames()
    run = arriving("ULA", "stop", [3000, 0], n=5, record=[frames], more=[obs.Moments()])
    steps = run.observers[0].steps
    assert 0 < steps.max() < 2900 and run.step == 3000
    assert len(frames.positions) == 300
    np.testing.assert_array_equal(frames.positions[-1], run.positions)
    np.testing.assert_array_equal(frames.positions[-10:], np.broadcast_to(run.positions, (10, 5, 1)))
    np.testing.assert_array_equal(run.observers[1].n_samples, steps)
    run.run(10_000, record=[later])
    np.testing.assert_array_equal(later.positions[[0, -1]], np.broadcast_to(run.positions, (2, 5, 1)))
    np.testing.assert_array_equal(run.observers[0].steps, steps)
    np.testing.assert_array_equal(run.replay().positions[-1], run.positions)
    assert run.observers[0].mean == pytest.approx(steps.mean() / 50)


def test_those_that_were_stopped_go_on_when_nobody_stops_them():
    """Observers of one run alone; the steps after it have the noise of their numbers."""
    for scheme in SCHEMES:
        run = lf.Simulation(WELL, SCHEMES[scheme](h=1 / 50), n_particles=9, seed=6, initial=[-0.5])
        run.run(20)
        stop, frames = passage("stop"), [obs.Frames() for _ in range(3)]
        run.run(150, record=[stop, frames[0]])
        assert stop.arrived.sum() > 2
        expected = lf.Simulation(
            *(WELL, run.scheme),
            **{"seed": 6, "initial": run.positions, "first_step": 170},
            **({} if run.velocities is None else {"velocities": run.velocities}),
        )
        run.run(30, record=[frames[1]])
        expected.run(30, record=[frames[2]])
        np.testing.assert_array_equal(frames[1].positions, frames[2].positions)
        again = run.replay([3, 8], slice(100, 201)).positions
        stored = np.concatenate([frames[0].positions, frames[1].positions])[79:, [3, 8]]
        np.testing.assert_array_equal(again, stored)


def test_two_that_stop():
    near, far = obs.FirstPassage("x > 0", on_arrival="stop"), obs.FirstPassage("x < -1", on_arrival="stop")
    run = lf.Simulation(WELL, lf.ULA(0.02), n_particles=70, seed=6, initial=[-0.5], observers=[near, far])
    run.run(300)
    assert not (near.arrived & far.arrived).any() and near.arrived.any() and far.arrived.any()
    np.testing.assert_array_equal(run.state.stopped, np.maximum(near.steps, far.steps))
    free = [obs.FirstPassage("x > 0"), obs.FirstPassage("x < -1")]
    lf.sample(WELL, lf.ULA(0.02), n_particles=70, n_steps=300, seed=6, initial=[-0.5], stride=None, observers=free)
    steps = np.where([o.arrived for o in free], [o.steps for o in free], 1000)
    np.testing.assert_array_equal(run.state.stopped, np.where(steps.min(axis=0) < 1000, steps.min(axis=0), -1))


@each_scheme
def test_two_that_stop_among_others(scheme):
    """In one run or in single steps; they may arrive between the looks of either."""

    def run(parts, n):
        watching = [
            obs.FirstPassage(["x > 0.25", "x > 0"], on_arrival="stop"),
            obs.FirstPassage("x < -1", on_arrival="stop", every=3, start=1),
            obs.Moments(),
            obs.MeanSquaredDisplacement(every=2, longest=20),
            obs.Histogram("x[0]", bins=5, range=(-2, 2)),
            obs.Transitions(["x < -0.5", "x > -0.25"], lag=5),
        ]
        made = lf.Simulation(
            *(WELL, SCHEMES[scheme](h=1 / 50)),
            **{"n_particles": n, "seed": 6, "initial": [-0.5], "observers": watching},
        )
        frames = obs.Frames(every=2)
        made.run(parts[0], record=[frames])
        for part in parts[1:]:
            made.run(part)
        return made, frames

    for n in (5, 70):
        (whole, frames), (single, _) = run([100], n), run([1] * 100, n)
        assert n < 70 or all(stop.arrived.any() for stop in whole.observers[:2])
        for name in ("positions", "velocities"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(single, name))
        np.testing.assert_array_equal(frames.positions[-1], whole.positions)
        np.testing.assert_array_equal(whole.state.accepted, single.state.accepted)
        for a, b in zip(whole.observers, single.observers, strict=True):
            for mine, other in zip(a._contents.observed.arrays, b._contents.observed.arrays, strict=True):
                np.testing.assert_array_equal(mine, other, err_msg=repr(a))


def test_those_that_are_there_from_the_start():
    start = [[0.5], [-0.5]]
    stop = passage("stop")
    run = lf.Simulation(WELL, lf.ULA(0.02), seed=1, initial=start, observers=[stop], first_step=7)
    run.run(5)
    assert stop.steps.tolist() == [7, -1] and run.positions[0] == 0.5 and run.positions[1] != -0.5
    with pytest.raises(ValueError, match="holds particle 0 from the start"):
        lf.Simulation(WELL, lf.ULA(0.02), seed=1, initial=start, observers=[passage("restart")])
    with pytest.raises(ValueError, match="on_arrival"):
        passage("halt")


# --- those that diverge -----------------------------------------------------------------------------------------------

BEYOND = "x > 1e307 or x < -1e307"


@pytest.mark.parametrize("kind", ["cpp", "batch"])
@pytest.mark.parametrize("mode", ["continue", "stop", "restart"])
@pytest.mark.parametrize("scheme", ["ULA", "BAOAB"])
def test_infinity_is_no_arrival(scheme, mode, kind):
    """A particle whose position has become infinite satisfies the condition."""
    first, plain = obs.FirstPassage(BEYOND, on_arrival=mode), obs.Frames()
    run, free = (wild(scheme, k, o, on_divergence="freeze") for k, o in ((kind, [first]), ("cpp", [])))
    for one, record in ((run, []), (free, [plain])):
        one.run(60, record=record)
    assert (free.diverged >= 0).any()
    np.testing.assert_array_equal(run.diverged, free.diverged)
    np.testing.assert_array_equal(run.positions, free.positions)
    assert not first.arrived.any() and not first.arrivals.any()
    raising, expected = wild(scheme, kind, [obs.FirstPassage(BEYOND, on_arrival=mode)]), wild(scheme, "cpp", [])
    errors = []
    for one in (raising, expected):
        with pytest.raises(lf.DivergenceError) as caught:
            one.run(60)
        errors.append(caught.value)
    assert [errors[0].step, errors[0].particle] == [errors[1].step, errors[1].particle]
    np.testing.assert_array_equal(errors[0].path, errors[1].path)
    np.testing.assert_array_equal(raising.positions, expected.positions)


def between(mode):
    """Where few of those come that are on their way out."""
    return obs.FirstPassage("x > 0 and x < 1", on_arrival=mode)


@pytest.mark.parametrize("longest", [1, 7, 2**22])
@pytest.mark.parametrize("mode", ["stop", "restart"])
@pytest.mark.parametrize("scheme", ["ULA", "BAOAB"])
def test_some_arrive_and_some_diverge(scheme, mode, longest, monkeypatch):
    """Freeze: each one as alone. Raise: up to the step before."""
    monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
    frames = obs.Frames()
    run = wild(scheme, "cpp", [between(mode)], on_divergence="freeze")
    run.run(60, record=[frames])
    first = run.observers[0]
    assert first.arrived.any() and (run.diverged >= 0).any()
    assert mode == "restart" or not (first.arrived & (run.diverged >= 0)).any()
    batch = wild(scheme, "batch", [between(mode)], on_divergence="freeze")
    batch.run(60)
    for name in ("positions", "diverged"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(run, name))
    for particle in range(9):
        alone = lf.Simulation(
            *(STEEP, WILD[scheme]),
            **{"seed": 1, "initial": [-1.0], "streams": [particle], "on_divergence": "freeze"},
            observers=[between(mode)],
        )
        alone.run(60)
        np.testing.assert_array_equal(alone.positions, run.positions[[particle]])
        assert alone.observers[0].arrivals[0] == first.arrivals[particle]
        assert alone.diverged[0] == run.diverged[particle]
    raising = wild(scheme, "cpp", [between(mode)])
    with pytest.raises(lf.DivergenceError) as caught:
        raising.run(60)
    step = caught.value.step
    assert step == run.diverged[run.diverged >= 0].min() == raising.step + 1
    shorter = wild(scheme, "cpp", [between(mode)])
    shorter.run(step - 1)
    assert_same_run(raising, shorter)
    np.testing.assert_array_equal(
        caught.value.path, frames.positions[max(step - 11, 0) : step - 1, caught.value.particle]
    )


# --- those that start anew --------------------------------------------------------------------------------------------


@each_precision
@each_scheme
def test_what_follows_an_arrival_is_a_run_of_its_own(scheme, precision):
    for n in (1, 5, 70):
        frames = obs.Frames()
        run = arriving(scheme, "restart", (), n=n, precision=precision)
        x, v = run.positions, run.velocities
        run.run(250, record=[frames])
        there = frames.positions[..., 0] > 0
        first = run.observers[0]
        np.testing.assert_array_equal(first.arrivals, there.sum(axis=0))
        np.testing.assert_array_equal(first.steps, np.where(there.any(axis=0), there.argmax(axis=0) + 1, -1))
        if n == 70:
            assert first.arrivals.max() > 2
        for particle in {0, n // 2, n - 1, int(first.arrivals.argmax())}:
            arrivals = (np.flatnonzero(there[:, particle]) + 1).tolist()
            for begin, end in zip([0, *arrivals], [*arrivals, 250], strict=True):
                alone, own = (
                    lf.Simulation(
                        *(WELL, run.scheme),
                        **{"seed": 6, "streams": [particle], "first_step": begin, "precision": precision},
                        initial=x[particle],
                        **({} if v is None else {"velocities": v[particle]}),
                    ),
                    obs.Frames(),
                )
                alone.run(end - begin, record=[own])
                np.testing.assert_array_equal(own.positions, frames.positions[begin:end, [particle]])


def test_the_state_at_which_the_observation_began():
    """Not that of the simulation."""
    run = lf.Simulation(WELL, SCHEMES["BAOAB"](h=1 / 50), n_particles=9, seed=6, initial=[-1.0])
    run.run(20)
    x, v, step, frames = run.positions, run.velocities, run.step, obs.Frames()
    restart = passage("restart", every=2)
    assert (x < 0).all()
    run.run(300, record=[restart, frames])
    particle = int(restart.arrivals.argmax())
    begin = int(restart.steps[particle])
    assert begin > 20 and (begin - step) % 2 == 0
    alone, own = (
        lf.Simulation(
            *(WELL, run.scheme),
            **{"seed": 6, "initial": x[particle], "velocities": v[particle], "streams": [particle]},
            first_step=begin,
        ),
        obs.Frames(),
    )
    alone.run(2, record=[own])
    np.testing.assert_array_equal(own.positions, frames.positions[begin - step :][:2, [particle]])


def test_energies_add_up_between_arrivals():
    work, frames = obs.Work(), obs.Frames()
    run = arriving("BAOAB", "restart", (), more=[work])
    begin = total_energy(run)
    run.run(300, record=[frames])
    there = frames.positions[..., 0] > 0
    energy = WELL.energy(frames.positions) + 0.5 * np.square(frames.velocities[..., 0])
    expected = np.where(there, energy - begin, 0.0).sum(axis=0) + np.where(there[-1], 0.0, energy[-1] - begin)
    assert there.sum() > 5
    np.testing.assert_allclose(work.work + work.heat + work.shadow, expected, rtol=1e-10)


# --- replays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 20])
@pytest.mark.parametrize("mode", ["stop", "restart"])
@each_scheme
def test_replays(scheme, mode, stride):
    """Of a simulation and of a trajectory, all of it and from the middle, where others may have arrived before."""
    when, frames = {"every": 2}, obs.Frames()
    run = arriving(scheme, mode, (), when=when)
    run.run(160, record=[frames])
    first = passage(mode, **when)
    trajectory = lf.sample(
        *(WELL, run.scheme),
        **{"n_steps": 160, "n_particles": 9, "seed": 6, "initial": [-0.5], "stride": stride},
        observers=[first],
    )
    steps = first.steps[first.arrived]
    assert len(steps) > 3
    for again in (run, trajectory):
        for particles, begin, end in [
            (range(9), 1, 161),
            ([int(first.steps.argmax())], 100, 161),
            ([3, 0], 150, 155),
            (range(9), 160, 161),
            *((range(9), int(s), int(s) + 1) for s in steps),
            *((range(9), int(s) + 1, 161) for s in steps[:2]),
        ]:
            part = again.replay(particles, slice(begin, end))
            np.testing.assert_array_equal(part.positions, frames.positions[begin - 1 : end - 1, particles])
            if part.velocities is not None:
                np.testing.assert_array_equal(part.velocities, frames.velocities[begin - 1 : end - 1, particles])
    part = trajectory.replay([5, 2], slice(10, 120))
    np.testing.assert_array_equal(part.replay(1, slice(50, 90)).positions, frames.positions[49:89, [2]])


@pytest.mark.parametrize("mode", ["stop", "restart"])
def test_replays_of_several_runs(mode):
    """Each with an observer of its own, or none."""
    run = lf.Simulation(WELL, SCHEMES["BAOAB"](h=1 / 50), n_particles=9, seed=6, initial=[-1.0])
    frames = [obs.Frames() for _ in range(5)]
    run.run(30, record=[frames[0]])
    run.run(60, record=[passage("stop"), frames[1]])
    run.run(10, record=[frames[2]])
    observer = obs.FirstPassage("x > 1.5", on_arrival=mode)
    run.run(80, record=[observer, frames[3], obs.Moments()])
    run = pickle.loads(pickle.dumps(run))
    run.run(20, record=[frames[4]])
    assert observer.arrivals.any()
    whole = np.concatenate([part.positions for part in frames])
    np.testing.assert_array_equal(run.replay(steps=slice(1, 201)).positions, whole)
    for begin in (25, 80, 95, 120, 179, 185, 200):
        np.testing.assert_array_equal(run.replay([4, 2], slice(begin, 201)).positions, whole[begin - 1 :, [4, 2]])


# --- mean first-passage times -----------------------------------------------------------------------------------------


def exact_mean_time(u, h, kT, start, end, left=-4.0):
    """Of the chain that ULA makes: T(x) = h + the integral of K(x, y) T(y) up to the end, on Gauss points."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    y, weights = left + (end - left) * (nodes + 1) / 2, weights * (end - left) / 2

    def kernel(x):
        mean = x - h * u.gradient(x[:, np.newaxis])[:, 0]
        return np.exp(-np.square(y - mean[:, np.newaxis]) / (4 * kT * h)) / math.sqrt(4 * math.pi * kT * h) * weights

    times = np.linalg.solve(np.eye(200) - kernel(y), np.full(200, h))
    return h + (kernel(np.array([start])) @ times)[0]


@pytest.mark.parametrize(
    ("mode", "n", "n_steps"), [("continue", 4000, 5000), ("stop", 4000, 5000), ("restart", 300, 7000)]
)
def test_mean_first_passage_times(mode, n, n_steps):
    """Exact, for the step size; |z| < 4."""
    u, h, kT = lf.potentials.DoubleWell(1.5, tilt=-0.25), 0.02, 0.75
    exact = exact_mean_time(u, h, kT, -1.0, 0.0)
    first = passage(mode)
    lf.sample(
        *(u, lf.ULA(h, kT=kT)),
        **{"n_steps": n_steps, "n_particles": n, "initial": [-1.0], "seed": 8, "stride": None},
        observers=[first],
    )
    if mode == "restart":
        assert first.arrivals.sum() > 5000
    else:
        assert first.arrived.all()
        assert first.mean == pytest.approx(first.times.mean())
    assert 0.002 * exact < first.error < 0.03 * exact
    assert abs(first.mean - exact) < 4 * first.error


def test_mean_of_those_that_have_arrived_so_far():
    """Stopped early, the estimate for exponential tails; a few particles and many agree with the exact one; |z| < 4."""
    u, h = lf.potentials.DoubleWell(2.0), 0.02
    exact = exact_mean_time(u, h, 1.0, -1.0, 0.0)
    first = passage("stop")
    lf.sample(
        *(u, lf.ULA(h)),
        **{"n_steps": int(exact / h), "n_particles": 4000, "initial": [-1.0], "seed": 8, "stride": None},
        observers=[first],
    )
    assert 0.5 < first.arrived.mean() < 0.75
    # the tail of those that start in the well is exponential up to a delay of a few percent
    assert abs(first.mean - exact) < 4 * first.error + 0.03 * exact
