"""What a simulation keeps between its runs, what it records, and what it carries when it is stopped."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import inspect
import pickle
import re
import textwrap
import threading

import cases
import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import arguments, backends
from langevin_fast.stages import StagedSimulation

WELL = lf.potentials.DoubleWell(dim=2)
ULA = lf.ULA(0.02)
BAOAB = lf.BAOAB(0.1, friction=1.0)
MALA = lf.MALA(0.1)


# ---- gradients are computed once ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "extra"), [(ULA, 0), (BAOAB, 1), (MALA, 1), (lf.Splitting("OBABO", 0.1, drag=1.0), 1)]
)
def test_the_block_loop_calls_a_gradient_once_per_step(scheme, extra):
    calls = []

    @ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double))
    def gradient(x, g):
        calls.append(x[0])
        g[0] = x[0]

    energy = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.POINTER(ctypes.c_double))(lambda x: 0.5 * x[0] * x[0])
    spring = lf.potentials.CFunction(gradient=gradient, energy=energy, dim=1)
    sim = lf.Simulation(spring, scheme, n_particles=1, seed=2)
    calls.clear()
    sim.run(30)
    for _ in range(10):
        sim.run(1)
    assert len(calls) == 40 + extra
    plain = lf.Simulation(lf.potentials.Harmonic([1.0]), scheme, n_particles=1, seed=2)
    plain.run(40)
    np.testing.assert_array_equal(sim.positions, plain.positions)


@pytest.mark.parametrize("n", [1, 5, 70])
@pytest.mark.parametrize("scheme", [BAOAB, MALA, lf.LeimkuhlerMatthews(0.02)], ids=lambda s: type(s).__name__)
def test_what_is_kept_changes_no_bits(scheme, n):
    whole = lf.Simulation(WELL, scheme, n_particles=n, seed=5)
    whole.run(60)
    parts = lf.Simulation(WELL, scheme, n_particles=n, seed=5)
    for steps in (1, 1, 2, 7, 19, 30):
        parts.run(steps)
    forgetful = lf.Simulation(WELL, scheme, n_particles=n, seed=5)
    for _ in range(6):
        forgetful.run(10)
        forgetful._stepper.runner = None
    for other in (parts, forgetful):
        np.testing.assert_array_equal(other.positions, whole.positions)
        np.testing.assert_array_equal(other.state.accepted, whole.state.accepted)


@pytest.mark.parametrize("backend", ["cpp", "batch"])
def test_an_interrupt_just_after_the_kernels(monkeypatch, backend):
    """What is known then belongs to a state that nobody has seen."""
    from langevin_fast.backends import problem

    potential = WELL if backend == "cpp" else lf.potentials.Batch(gradient=WELL.gradient, dim=2)
    sim = lf.Simulation(potential, BAOAB, n_particles=5, seed=5, initial=[1.0, 0.5])
    sim.run(10)
    before, right = sim.positions, problem.State.__init__

    def interrupt(*values):
        raise KeyboardInterrupt

    monkeypatch.setattr(problem.State, "__init__", interrupt)
    with pytest.raises(lf.Interrupted):
        sim.run(10)
    monkeypatch.setattr(problem.State, "__init__", right)
    assert sim.step == 10 and sim.positions is before
    sim.run(10)
    whole = lf.Simulation(potential, BAOAB, n_particles=5, seed=5, initial=[1.0, 0.5])
    whole.run(20)
    np.testing.assert_array_equal(sim.positions, whole.positions)


# ---- frames ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["cpp", "numba", "batch"])
@pytest.mark.parametrize("scheme", [ULA, BAOAB], ids=lambda s: type(s).__name__)
def test_several_observers_at_once(scheme, backend):
    potential = WELL
    if backend == "batch":
        potential = lf.potentials.Batch(gradient=WELL.gradient, dim=2, start=WELL.default_start)
    every_step = lf.sample(WELL, scheme, n_particles=9, n_steps=50, seed=3)
    sim = lf.Simulation(potential, scheme, n_particles=9, seed=3, backend=backend)
    sim.run(11)
    some, late = lf.observers.Frames(4), lf.observers.Frames(3, start=20)
    sim.run(39, record=[some, late])
    assert some.steps.tolist() == list(range(15, 51, 4))
    assert late.steps.tolist() == list(range(34, 51, 3))
    for frames in (some, late):
        np.testing.assert_array_equal(frames.positions, every_step.positions[frames.steps - 1])
        if scheme is BAOAB:
            np.testing.assert_array_equal(frames.velocities, every_step.velocities[frames.steps - 1])
        else:
            assert frames.velocities is None


def test_frames_do_not_depend_on_chunks(monkeypatch):
    from langevin_fast import stepping

    whole = lf.sample(WELL, BAOAB, n_particles=3, n_steps=40, stride=3, burn_in=5, seed=1)
    monkeypatch.setattr(stepping, "_LONGEST_CHUNK", 7)
    cut = lf.sample(WELL, BAOAB, n_particles=3, n_steps=40, stride=3, burn_in=5, seed=1)
    np.testing.assert_array_equal(cut.positions, whole.positions)
    np.testing.assert_array_equal(cut.velocities, whole.velocities)


def test_frames_belong_to_one_run():
    frames = lf.observers.Frames()
    with pytest.raises(ValueError, match="has seen no run"):
        _ = frames.positions
    sim = lf.Simulation(WELL, ULA, n_particles=2, seed=1)
    sim.run(3, record=[frames])
    with pytest.raises(ValueError, match="holds the frames of a run already"):
        sim.run(3, record=[frames])
    assert sim.step == 3
    assert repr(frames) == "<Frames: 3 so far, every=1, start=0>"


@pytest.mark.parametrize("step_size", [0.25, [0.25, 0.5]])
def test_frames_have_times(step_size):
    sim = lf.Simulation(WELL, lf.ULA(step_size), n_particles=2, seed=1, first_step=4)
    sim.run(3)
    frames = lf.observers.Frames(2)
    with pytest.raises(ValueError, match="has seen no run"):
        _ = frames.times
    sim.run(5, record=[frames])
    np.testing.assert_array_equal(frames.times, np.multiply.outer([9, 11], step_size))
    np.testing.assert_array_equal(
        lf.sample(WELL, lf.ULA(step_size), n_particles=2, n_steps=2).times[-1], frames.times[0] / 4.5
    )


@pytest.mark.parametrize(
    ("record", "error", "match"),
    [
        (lf.observers.Frames(), TypeError, "record must be a sequence of observers"),
        ([1], TypeError, "record must be a sequence"),
        ([lf.observers.Frames() for _ in range(8)], ValueError, "record holds 8 Frames; at most 7"),
    ],
)
def test_wrong_records(record, error, match):
    with pytest.raises(error, match=match):
        lf.Simulation(WELL, ULA, seed=1).run(3, record=record)


@pytest.mark.parametrize("arguments", [{"every": 0}, {"every": 1.5}, {"start": -1}])
def test_wrong_frames(arguments):
    with pytest.raises((TypeError, ValueError), match=next(iter(arguments))):
        lf.observers.Frames(**arguments)


# ---- stages ---------------------------------------------------------------------------------------------------------

GIVEN = {
    "initial": None, "velocities": None, "n_particles": 7, "mass": 1.0, "seed": 4, "backend": "auto",
    "precision": "double", "threads": None, "streams": None, "first_step": 0, "on_divergence": "raise",
}  # fmt: skip


def springs(kind):
    stiffnesses = (1.0, 3.0, 2.0)
    if kind == "Harmonic":
        return [lf.potentials.Harmonic([k, 1.0]) for k in stiffnesses]
    if kind == "Custom":

        def gradient(x, out, k):
            out[0] = k * x[0]
            out[1] = x[1]

        first = lf.potentials.Custom(gradient=gradient, dim=2, k=1.0)
        return [first.replace(k=k) for k in stiffnesses]
    return [
        lf.potentials.Batch(gradient=lambda x, k=k: x * np.array([k, 1.0]), dim=2, start=[0.0, 0.0])
        for k in stiffnesses
    ]


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("scheme", [lf.ULA, lf.LeimkuhlerMatthews, lf.BAOAB], ids=lambda s: s.__name__)
@pytest.mark.parametrize("kind", ["Harmonic", "Custom", "Batch"])
def test_stages_are_one_run_with_the_bits_of_many(kind, scheme, precision):
    potentials = springs(kind)
    made = [scheme(h, **({"friction": 1.0} if scheme is lf.BAOAB else {})) for h in (0.1, 0.05, 0.2)]
    given = {**GIVEN, "precision": precision}
    one = StagedSimulation(potentials, made, 8, **given)
    one.run(3)
    frames = lf.observers.Frames(5)
    one.run(27, record=[frames])
    x, v, step, seen = None, None, 0, {}
    for potential, stage, n in zip(potentials, made, (8, 8, 14), strict=True):
        start = {**given, "initial": x, "velocities": v, "first_step": step}
        sim = lf.Simulation(potential, stage, **start)
        for _ in range(n):
            sim.run(1)
            seen[sim.step] = sim.positions
        x, v, step = sim.positions, sim.velocities, sim.step
    np.testing.assert_array_equal(one.positions, x)
    np.testing.assert_array_equal(frames.positions, [seen[s] for s in frames.steps.tolist()])
    assert one.time == pytest.approx(8 * 0.1 + 8 * 0.05 + 14 * 0.2)
    assert one.potential is potentials[2] and one.scheme is made[2]


def test_a_run_that_is_cut_where_a_stage_begins():
    """The gradient at the end of a stage is not that with which the next one begins."""
    potentials, schemes = springs("Harmonic"), [BAOAB] * 3
    whole, cut = (StagedSimulation(potentials, schemes, 8, **GIVEN) for _ in range(2))
    whole.run(30)
    for n in (8, 8, 14):
        cut.run(n)
    np.testing.assert_array_equal(cut.positions, whole.positions)


def test_stages_must_be_alike():
    with pytest.raises(ValueError, match="must be of one kind"):
        StagedSimulation([lf.potentials.Harmonic([1.0]), lf.potentials.DoubleWell()], [ULA, ULA], 5, **GIVEN)


def test_a_divergence_in_stages_is_found_at_its_step():
    well = lf.potentials.DoubleWell()
    sim = StagedSimulation([well, well], [lf.ULA(0.01), lf.ULA(2.0)], 20, **GIVEN)
    with pytest.raises(lf.DivergenceError) as caught:
        sim.run(60)
    assert caught.value.step > 20 and sim.step == caught.value.step - 1
    assert caught.value.step_size == 2.0


# ---- a simulation cannot be changed behind its back -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["scheme", "potential", "seed", "positions", "step", "anything"])
def test_attributes_cannot_be_set(name):
    sim = lf.Simulation(WELL, ULA, seed=1)
    with pytest.raises(AttributeError, match=f"{name}: attributes of a simulation cannot be set"):
        setattr(sim, name, 1)
    assert sim.scheme is ULA


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))], ids=["deepcopy", "pickle"])
def test_copies_go_on_to_the_same_bits(copied):
    sim = lf.Simulation(WELL, MALA, n_particles=5, seed=1)
    sim.run(20)
    other = copied(sim)
    sim.run(20)
    other.run(20)
    np.testing.assert_array_equal(other.positions, sim.positions)
    np.testing.assert_array_equal(other.acceptance_rate, sim.acceptance_rate)
    assert not other.positions.flags.writeable


def test_a_state_is_shown_in_one_line():
    assert (
        repr(lf.Simulation(WELL, ULA, n_particles=3, seed=1).state)
        == "<State after step 0: 3 particles in 2 dimensions>"
    )


# ---- what stops a run carries what was computed ---------------------------------------------------------------------


class StopError(Exception):
    pass


def stopping(error, call):
    """A gradient that raises at some call."""

    def gradient(x):
        gradient.calls += 1
        if gradient.calls == call:
            raise error
        return x

    gradient.calls = 0
    return lf.potentials.Batch(gradient=gradient, dim=2)


@pytest.mark.parametrize("error", [StopError("mine"), KeyboardInterrupt()], ids=lambda e: type(e).__name__)
def test_every_error_carries_frames(error):
    sim = lf.Simulation(stopping(error, 30), ULA, n_particles=4, seed=1)
    frames = lf.observers.Frames(2)
    with pytest.raises(type(error)) as caught:
        sim.run(100, record=[frames])
    assert sim.step == 29
    assert caught.value.observers == (frames,)
    np.testing.assert_array_equal(caught.value.trajectory.positions, frames.positions)
    assert caught.value.trajectory.final is sim.state
    assert frames.steps.tolist() == list(range(2, 30, 2))


def test_annealed_runs_carry_their_positions():
    error = StopError("mine")

    def score(x, sigma):
        score.calls += 1
        if score.calls == 25:
            raise error
        return -x

    score.calls = 0
    with pytest.raises(StopError) as caught:
        lf.score.annealed_langevin(score, [2.0, 1.0], step_size=0.1, n_steps=20, initial=np.ones((3, 2)), seed=1)
    assert caught.value is error
    assert error.trajectory.final.step == 24


def test_ctrl_c_before_the_first_step(monkeypatch):
    def interrupt(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(arguments, "begin", interrupt)
        with pytest.raises(lf.Interrupted, match="before anything was complete") as caught:
            lf.sample(WELL, ULA, n_steps=5)
        assert caught.value.trajectory is None
    monkeypatch.setattr(backends, "prepare", interrupt)  # while a potential is compiled
    with pytest.raises(lf.Interrupted) as caught:
        lf.sample(WELL, ULA, n_steps=5)
    assert caught.value.trajectory.final.step == 0


def test_an_error_in_the_second_look_at_a_divergence():
    """The steps before a divergence are made once more; a function that then raises is heard as it is."""

    def gradient(x):
        if gradient.seen and gradient.calls_after > 2:
            raise StopError
        gradient.calls_after += gradient.seen
        gradient.seen = gradient.seen or bool((np.abs(x) > 1e100).any())
        return 4 * x**3

    gradient.seen, gradient.calls_after = False, 0
    with np.errstate(all="ignore"), pytest.raises(StopError) as caught:
        lf.sample(lf.potentials.Batch(gradient=gradient, dim=1), lf.ULA(0.7), initial=[3.0], n_steps=50, seed=1)
    assert caught.value.trajectory.final.step >= 0


def test_a_divergence_shows_how_the_particle_left(monkeypatch):
    from langevin_fast import stepping

    errors = []
    for longest in (1, 3, 1000):
        monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
        with pytest.raises(lf.DivergenceError) as caught:
            lf.sample(lf.potentials.DoubleWell(), lf.ULA(0.35), n_particles=20, n_steps=1000, seed=1)
        errors.append(caught.value)
    assert len(errors[0].path) == min(10, errors[0].step - 1)
    np.testing.assert_array_equal(errors[0].path[-1], errors[0].last_position)
    assert "in the last" in str(errors[0]) and "Use a smaller step_size" in str(errors[0])
    for other in errors[1:]:  # however the run was cut
        assert str(other) == str(errors[0])
        np.testing.assert_array_equal(other.path, errors[0].path)


def test_a_divergence_of_a_function_that_returns_nan():
    def gradient(x):
        return np.where(x > 1.0, np.nan, x)

    with pytest.raises(lf.DivergenceError, match="left the domain of U, or a function returned NaN"):
        lf.sample(lf.potentials.Batch(gradient=gradient, dim=1), ULA, n_particles=50, n_steps=1000, seed=1)


# ---- limits and warnings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("potential", [lf.potentials.Free(100), lf.potentials.Batch(gradient=lambda x: x, dim=100)])
def test_step_numbers_whose_noise_would_wrap(potential):
    with pytest.raises(ValueError, match=r"first_step=1152921504606846975 leads to step .* dimensions ends at"):
        lf.Simulation(potential, ULA, first_step=2**60 - 1, seed=1)
    last = 2**63 // 100 - 2
    sim = lf.Simulation(potential, ULA, first_step=last - 2, seed=1)
    with pytest.raises(ValueError, match="n_steps=3 leads to step"):
        sim.run(3)
    sim.run(2)
    assert np.isfinite(sim.positions).all()


def test_threads_that_cannot_be_had():
    """With little address space the threads of OpenMP cannot be started, which would end the process."""
    script = textwrap.dedent(
        """
        import resource
        import numpy as np
        import langevin_fast as lf
        from langevin_fast.backends import cpp

        cpp._SERIAL_SECONDS = -1.0
        few = lf.sample(lf.potentials.DoubleWell(), lf.ULA(0.01), n_particles=9000, n_steps=20, seed=1, threads=1)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 40 * 2**20, -1))
        many = lf.sample(lf.potentials.DoubleWell(), lf.ULA(0.01), n_particles=9000, n_steps=20, seed=1, threads=64)
        assert np.array_equal(few.positions, many.positions)
        print("done")
        """
    )
    result = cases.run_python("-c", script)
    assert result.stdout == "done\n", result.stderr


def test_streams_that_occur_twice():
    with pytest.warns(UserWarning, match="streams has 7 2 times"):
        lf.Simulation(WELL, ULA, streams=[1, 7, 7], seed=1)


@pytest.mark.parametrize(
    ("potential", "scheme"),
    [
        (lf.potentials.Harmonic([1.0, 30.0]), lf.ULA(0.07)),
        (lf.potentials.Harmonic([30.0]), lf.LeimkuhlerMatthews(0.1, drag=1.2)),
        (lf.potentials.Harmonic([25.0]), lf.BAOAB(0.41, friction=1.0)),
        (lf.potentials.Harmonic([25.0]), lf.Splitting("OBABO", 0.41, friction=1.0)),
        (lf.potentials.Gaussian([0.0, 0.0], [[1.0, 0.9], [0.9, 1.0]]), lf.ULA(0.21)),
    ],
)
def test_steps_beyond_the_limit_of_stability(potential, scheme):
    with pytest.warns(UserWarning, match="is unstable in this potential"):
        sim = lf.Simulation(potential, scheme, n_particles=2, seed=1, on_divergence="freeze")
    sim.run(2000)
    assert np.abs(sim.positions).max() > 1e6


@pytest.mark.parametrize(
    ("potential", "scheme"),
    [
        (lf.potentials.Harmonic([1.0, 30.0]), lf.ULA(0.066)),
        (lf.potentials.Harmonic([25.0]), lf.BAOAB(0.39, friction=1.0)),
        (lf.potentials.Harmonic([25.0]), lf.Splitting("ABABO", 0.79, friction=1.0)),
        (lf.potentials.Harmonic([30.0]), lf.TamedULA(1.0)),
    ],
)
def test_steps_within_it(potential, scheme):
    sim = lf.Simulation(potential, scheme, n_particles=2, seed=1)  # warnings are errors here
    sim.run(2000)
    assert np.abs(sim.positions).max() < 100


def test_acceptance_of_everything():
    with pytest.warns(UserWarning, match="all of 10000 proposals were accepted"):
        lf.sample(WELL, lf.MALA(1e-9), n_particles=10, n_steps=1000, seed=1)


def test_step_sizes_that_look_like_one_per_component():
    with pytest.warns(UserWarning, match=r"makes 2 particles; it has none per component. Say n_particles=2"):
        lf.Simulation(WELL, lf.MALA([0.1, 0.2]), seed=1)
    lf.Simulation(WELL, lf.MALA([0.1, 0.2]), n_particles=2, seed=1)


def sample(**given):
    return lf.sample(WELL, ULA, **given)


def run(*args, **given):
    return lf.Simulation(WELL, ULA).run(*args, **given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lf.ULA(0.1, friction=1.0), "ULA() has no argument 'friction'; did you mean drag (lambda"),
        (lambda: lf.MALA(dt=0.1), "MALA() has no argument 'dt'; did you mean step_size?"),
        (lambda: lf.BAOAB(0.1, gamma=1.0), "BAOAB() has no argument 'gamma'; did you mean friction"),
        (lambda: lf.BAOAB(0.1, friction=1.0, temperature=2.0), "did you mean kT"),
        (lambda: lf.ULA(0.1, beta=2.0), "did you mean kT = 1/beta"),
        (lambda: lf.BAOAB(0.1, tau=2.0), "did you mean friction = 1/tau"),
        (lambda: lf.ULA(0.1, gamma=2.0), "did you mean drag"),
        (lambda: lf.ULA(0.1, foo=2.0), "ULA() has no argument 'foo'; it takes step_size, kT, drag"),
        (lambda: lf.ULA(0.1, rng=2), "did you mean seed? seed belongs to lf.sample and lf.Simulation"),
        (lambda: lf.ULA(), "ULA(): missing a required argument: 'step_size'"),
        (
            lambda: sample(dt=0.1),
            "sample() has no argument 'dt'; did you mean step_size? step_size belongs to the scheme",
        ),
        (lambda: sample(T=1.0), "did you mean kT, the temperature in energy units? kT belongs to the scheme"),
        (lambda: sample(beta=1.0), "did you mean kT = 1/beta? kT belongs to the scheme"),
        (lambda: sample(friction=1.0), "sample() has no argument 'friction'; friction belongs to the scheme"),
        (lambda: sample(gamma=1.0), "did you mean friction (gamma, a rate)? friction belongs to the scheme"),
        (lambda: sample(record=[]), "sample() has no argument 'record'; record belongs to Simulation.run"),
        (lambda: lf.sample(WELL, ULA), "sample(): missing a required argument: 'n_steps'"),
        (
            lambda: lf.Simulation(WELL, ULA, n_chains=4),
            "Simulation() has no argument 'n_chains'; did you mean n_particles?",
        ),
        (lambda: lf.Simulation(WELL, ULA, tune=4), "did you mean burn_in? burn_in belongs to lf.sample"),
        (lambda: lf.Simulation(WELL), "Simulation(): missing a required argument: 'scheme'"),
        (lambda: run(steps=4), "Simulation.run() has no argument 'steps'; did you mean n_steps?"),
        (
            lambda: run(4, thin=2),
            "did you mean stride? stride belongs to lf.sample; Simulation.run takes record=[lf.obs",
        ),
        (
            lambda: run(4, seed=2),
            "Simulation.run() has no argument 'seed'; seed belongs to lf.sample and lf.Simulation",
        ),
    ],
)
def test_names_of_other_packages_get_a_hint(make, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        make()


HERE = {
    "n_particles": "n_chains chains num_chains n_walkers batch_size",
    "n_steps": "steps num_steps n_samples num_samples draws",
    "initial": "x0 init initial_positions q0 start",
    "velocities": "v0",
    "seed": "rng random_state key",
    "stride": "thin thinning every save_every",
    "burn_in": "warmup tune burnin equilibration",
    "precision": "dtype",
    "threads": "n_jobs num_threads n_threads",
    "backend": "device",
}


@pytest.mark.parametrize("here", HERE)
def test_names_of_other_packages_for_arguments_of_runs(here):
    for name in HERE[here].split():
        with pytest.raises(TypeError, match=rf"^sample\(\) has no argument '{name}'; did you mean {here}\?$"):
            sample(**{name: 1})


def test_errors_of_other_kinds_pass_through():
    def gradient(x):
        raise TypeError("of the user's")

    with pytest.raises(TypeError, match=r"^of the user's"):
        lf.sample(lf.potentials.Batch(gradient=gradient, dim=2), ULA, n_steps=3)


def test_signatures_are_shown():
    for function, names in (
        (lf.ULA, "step_size kT drag"),
        (lf.Simulation.run, "self n_steps record progress checkpoint checkpoint_every reporters"),
        (lf.BAOAB, "step_size friction drag kT"),
    ):
        assert " ".join(inspect.signature(function).parameters) == names
    assert next(iter(inspect.signature(lf.sample).parameters)) == "potential" and lf.sample.__name__ == "sample"


def test_masses_of_particles_get_a_hint():
    with pytest.raises(ValueError, match=r"for 3 particles of different masses add an axis: mass\[:, np.newaxis\]"):
        lf.Simulation(WELL, BAOAB, n_particles=3, mass=[1.0, 2.0, 3.0])


# ---- what a review found --------------------------------------------------------------------------------------------


def test_a_simulation_runs_in_one_thread_at_a_time():
    sim = lf.Simulation(lf.potentials.Harmonic(np.ones(50)), BAOAB, n_particles=3000, seed=1)
    sim.run(1)
    refused = []

    def go():
        for _ in range(10):
            try:
                sim.run(20)
            except RuntimeError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("is running already" in text for text in refused)
    assert np.isfinite(sim.positions).all()


def test_a_gradient_that_runs_its_own_simulation_is_refused():
    def gradient(x):
        if sim is not None:
            sim.run(1)
        return x

    sim = None
    made = lf.Simulation(lf.potentials.Batch(gradient=gradient, dim=1), ULA, seed=1)
    sim = made
    with pytest.raises(RuntimeError, match="is running already"):
        made.run(3)


@pytest.mark.parametrize("where", ["rows", "uniforms", "_draw", "_test", "_keep_finite"])
@pytest.mark.parametrize("scheme", [MALA, BAOAB], ids=["MALA", "BAOAB"])
def test_interrupts_anywhere_in_the_coupled_loop(monkeypatch, scheme, where):
    """Nothing is counted twice, and no number is taken for drawn that was not."""
    from langevin_fast.backends import batch

    owner = batch._Noise if where in ("rows", "uniforms", "_draw") else batch.BatchRunner
    right, calls = getattr(owner, where), []

    def interrupted(self, *arguments, **named):
        calls.append(where)
        if len(calls) == 7:
            raise KeyboardInterrupt
        result = right(self, *arguments, **named)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return result

    potential = lf.potentials.Batch(
        gradient=lambda x: x, energy=lambda x: 0.5 * (x * x).sum(axis=1), dim=2, start=[1.0, 0.5]
    )
    whole = lf.Simulation(potential, scheme, n_particles=4, seed=3)
    whole.run(30)
    monkeypatch.setattr(owner, where, interrupted)
    sim = lf.Simulation(potential, scheme, n_particles=4, seed=3)
    while sim.step < 30:
        with contextlib.suppress(KeyboardInterrupt):
            sim.run(30 - sim.step)
    np.testing.assert_array_equal(sim.positions, whole.positions)
    np.testing.assert_array_equal(sim.state.accepted, whole.state.accepted)


def test_frozen_particles_go_on_at_the_next_level():
    steep, flat = lf.potentials.Harmonic([1e3]), lf.potentials.Harmonic([1.0])
    with pytest.warns(UserWarning, match="is unstable"):
        result = lf.score.annealed_langevin(
            [steep, flat], [10.0, 1.0], step_size=0.05, n_steps=300, initial=np.ones((3, 1)), seed=1,
            on_divergence="freeze",
        )  # fmt: skip
    assert (result.diverged > 0).all() and (result.diverged <= 300).all()
    assert np.abs(result.positions).max() < 1e302  # 0.95^300 = 2e-7 of where they were frozen


def test_a_run_that_is_refused_claims_no_frames():
    sim = lf.Simulation(WELL, ULA, n_particles=2, seed=1)
    used, fresh = lf.observers.Frames(), lf.observers.Frames()
    sim.run(1, record=[used])
    for record, match in (([fresh, used], "holds the frames"), ([fresh, fresh], "same observer twice")):
        with pytest.raises(ValueError, match=match):
            sim.run(2, record=record)
    with pytest.raises(TypeError, match="progress"):
        sim.run(2, record=[fresh], progress="x")
    sim.run(2, record=[fresh])
    assert len(fresh.positions) == 2


@pytest.mark.parametrize(
    ("potentials", "schemes", "match"),
    [
        ([WELL, WELL], [ULA, lf.TamedULA(0.1)], "schemes that follow one another must be alike"),
        ([], [], "as many potentials as schemes, got 0 and 0"),
        ([WELL], [ULA, ULA], "got 1 and 2"),
        ([lf.potentials.Free(2), lf.potentials.Free(3)], [ULA, ULA], "must be of one kind"),
    ],
)
def test_stages_that_do_not_fit(potentials, schemes, match):
    with pytest.raises(ValueError, match=match):
        StagedSimulation(potentials, schemes, 5)


def test_copies_share_nothing():
    sim = lf.Simulation(WELL, lf.ULA([0.1, 0.2]), n_particles=2, seed=1)
    for other in (copy.deepcopy(sim), pickle.loads(pickle.dumps(sim))):
        for array in (other.streams, other.mass, other.scheme.step_size):
            assert not array.flags.writeable
    shallow = copy.copy(sim)
    sim.run(5)
    assert shallow.step == 0
    shallow.run(5)
    np.testing.assert_array_equal(shallow.positions, sim.positions)


def test_schemes_cannot_be_changed():
    for scheme in (lf.BAOAB(0.1, friction=1.0), lf.ULA(0.1)):
        for name in ("letters", "step_size", "kT"):
            with pytest.raises(AttributeError):
                setattr(scheme, name, "PM")


def test_schemes_of_subclasses_take_what_they_like():
    class Mine(lf.ULA):
        def __init__(self, **named):
            super().__init__(**named)

    assert Mine(step_size=0.25).step_size == 0.25


def test_exceptions_that_refuse_attributes_arrive():
    class SlottedError(Exception):
        def __setattr__(self, name, value):
            raise AttributeError(name)

    with pytest.raises(SlottedError):
        lf.Simulation(stopping(SlottedError(), 3), ULA, seed=1).run(10)


def test_warnings_as_errors_carry_the_run():
    with pytest.raises(UserWarning, match="none of") as caught:
        lf.sample(WELL, lf.MALA(1e6), n_particles=20, n_steps=20, seed=1)
    assert len(caught.value.trajectory.positions) == 20
