"""What comes along: energies, progress bars, xarray, ArviZ, a light import."""

from __future__ import annotations

import pickle
import sys
import warnings

import cases
import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import stepping

SIGMAS = 4.5
WELL = lf.potentials.DoubleWell(dim=2)
SPRING = lf.potentials.Harmonic(1.0)
ULA = lf.ULA(0.05)
BAOAB = lf.BAOAB(0.1, friction=1.0)


def test_energies():
    traj = lf.sample(WELL, ULA, n_particles=4, n_steps=6, seed=1)
    assert traj.energies.shape == (6, 4)
    np.testing.assert_array_equal(traj.energies, WELL.energy(traj.positions))
    assert traj.energies is traj.energies  # computed once


def test_trajectories_can_be_pickled():
    traj = lf.sample(WELL, lf.MALA(0.1), n_particles=4, n_steps=6, seed=1)
    twin = pickle.loads(pickle.dumps(traj))
    np.testing.assert_array_equal(twin.positions, traj.positions)
    np.testing.assert_array_equal(twin.acceptance_rate, traj.acceptance_rate)
    assert twin.final.step == 6 and repr(twin) == repr(traj)


def test_trajectories_cannot_be_changed_by_accident():
    traj = lf.sample(WELL, ULA, n_steps=2, seed=1)
    with pytest.raises(AttributeError):
        traj.seed = 2


def test_to_xarray():
    pytest.importorskip("xarray")
    traj = lf.sample(
        WELL, BAOAB, n_particles=4, n_steps=6, burn_in=3, stride=2, seed=2**64 - 1, streams=[7, 8, 9, 2**56 - 1]
    )
    data = traj.to_xarray()
    assert data["x"].dims == data["v"].dims == ("chain", "draw", "component")
    assert dict(data.sizes) == {"chain": 4, "draw": 3, "component": 2}
    np.testing.assert_array_equal(data["x"].values, traj.positions.swapaxes(0, 1))
    np.testing.assert_array_equal(data["v"].values, traj.velocities.swapaxes(0, 1))
    np.testing.assert_array_equal(data["step"].values, [5, 7, 9])
    np.testing.assert_array_equal(data["stream"].values, [7, 8, 9, 2**56 - 1])
    assert data["step"].dims == ("draw",) and data["stream"].dims == ("chain",)
    assert "acceptance_rate" not in data and data.attrs["seed"] == str(2**64 - 1)
    assert (
        data.attrs["backend"] == "cpp" and data.attrs["scheme"] == repr(BAOAB) and data.attrs["potential"] == repr(WELL)
    )
    mala = lf.sample(WELL, lf.MALA(0.2), n_particles=4, n_steps=6, seed=2)
    data = mala.to_xarray()
    np.testing.assert_array_equal(data["acceptance_rate"].values, mala.acceptance_rate)
    assert data["acceptance_rate"].dims == ("chain",) and "v" not in data
    np.testing.assert_array_equal(data["time"].values, mala.times)


def test_a_summary_of_the_xarray():
    arviz = pytest.importorskip("arviz")
    traj = lf.sample(WELL, lf.MALA(0.2), n_particles=4, n_steps=200, seed=2)
    summary = arviz.summary(traj.to_xarray())
    assert list(summary.index) == ["x[0]", "x[1]"]


def test_times_and_kinetic_energies():
    masses = np.array([[1.0], [2.0], [4.0]])
    traj = lf.sample(WELL, BAOAB, n_particles=3, n_steps=6, burn_in=4, stride=2, seed=1, mass=masses)
    np.testing.assert_allclose(traj.times, np.array([6, 8, 10]) * BAOAB.step_size, rtol=1e-15)
    np.testing.assert_array_equal(traj.mass, masses)
    np.testing.assert_allclose(
        traj.kinetic_energies, 0.5 * masses[:, 0] * np.square(traj.velocities).sum(axis=2), rtol=1e-14
    )
    each = lf.sample(WELL, lf.ULA([0.1, 0.2]), n_particles=2, n_steps=2, seed=1)
    np.testing.assert_allclose(each.times, [[0.1, 0.2], [0.2, 0.4]])
    assert each.kinetic_energies is None


def test_to_inference_data():
    pytest.importorskip("arviz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ announces its future when it is imported
        import arviz
    # kT = 1: the energy -log posterior; N(0, 1/4)
    traj = lf.sample(
        lf.potentials.Harmonic([1.0, 4.0]), lf.MALA(0.3), n_particles=4, n_steps=4000, burn_in=100, stride=2, seed=1
    )
    data = traj.to_inference_data()
    assert data.posterior["x"].dims == ("chain", "draw", "component")
    np.testing.assert_array_equal(data.posterior["x"].values, traj.positions.swapaxes(0, 1))
    np.testing.assert_array_equal(data.sample_stats["lp"].values, -traj.energies.T)
    table = arviz.summary(data, kind="all", round_to="none")
    assert list(table.index) == ["x[0]", "x[1]"]
    assert (table["r_hat"] < 1.05).all()
    assert (np.abs(table["mean"]) < SIGMAS * table["mcse_mean"]).all()
    assert (np.abs(table["sd"] - [1.0, 0.5]) < SIGMAS * table["mcse_sd"]).all()
    hot = lf.sample(SPRING, lf.ULA(0.1, kT=[1.0, 2.0]), n_steps=3, seed=1)
    np.testing.assert_array_equal(hot.to_inference_data().sample_stats["lp"].values, -hot.energies.T / [[1.0], [2.0]])


@pytest.mark.parametrize("call", ["to_xarray", "to_inference_data", "progress"])
def test_missing_packages_are_named_with_their_extra(call, monkeypatch):
    module, extra = {
        "to_xarray": ("xarray", "xarray"),
        "to_inference_data": ("arviz", "arviz"),
        "progress": ("tqdm.auto", "progress"),
    }[call]
    traj = lf.sample(SPRING, ULA, n_steps=2, seed=1)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'langevin-fast\[{extra}\]'"):
        if call == "progress":
            lf.sample(SPRING, ULA, n_steps=2, progress=True)
        else:
            getattr(traj, call)()


def test_a_progress_bar(capsys):
    pytest.importorskip("tqdm")
    plain = lf.sample(SPRING, ULA, n_steps=3000, burn_in=1000, seed=1, progress=False)
    assert capsys.readouterr().err == ""
    traj = lf.sample(SPRING, ULA, n_steps=3000, burn_in=1000, seed=1, progress=True)
    shown = capsys.readouterr().err
    assert "4.00k/4.00k" in shown and "100%" in shown
    np.testing.assert_array_equal(traj.positions, plain.positions)
    sim = lf.Simulation(SPRING, ULA, seed=1)
    sim.run(10, progress=True)
    assert "10.0/10.0" in capsys.readouterr().err


def test_a_progress_bar_shows_what_observers_have_seen(capsys):
    pytest.importorskip("tqdm")
    inside, passage = lf.observers.Moments(), lf.observers.FirstPassage("x > 0")
    sim = lf.Simulation(SPRING, ULA, n_particles=50, initial=[-0.5], seed=1, observers=[inside])
    sim.run(500, record=[passage, lf.observers.Histogram("x", range=(-1, 1))], progress=True)
    shown = capsys.readouterr().err
    assert inside.in_brief in shown and passage.in_brief in shown
    assert inside.in_brief.startswith("mean ") and passage.in_brief == f"reached by {passage.arrived.sum()} of 50"
    lf.sample(SPRING, ULA, n_steps=10, n_particles=40, observers=[counted := lf.observers.Moments()], progress=True)
    assert counted.in_brief in capsys.readouterr().err


def test_short_runs_show_no_bar_by_themselves(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    lf.sample(SPRING, ULA, n_steps=100, seed=1)
    assert capsys.readouterr().err == ""


def test_long_runs_show_a_bar_by_themselves_on_a_terminal(capsys, monkeypatch):
    from langevin_fast import progress as progress_module

    pytest.importorskip("tqdm")
    monkeypatch.setattr(progress_module, "_LONG_SECONDS", 0.0)
    monkeypatch.setattr(progress_module, "_SHORTEST_SECONDS", 0.0)
    monkeypatch.setattr(stepping, "_LONGEST_CHUNK", 10)
    lf.sample(SPRING, ULA, n_steps=100, seed=1)
    assert capsys.readouterr().err == ""  # not a terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    lf.sample(SPRING, ULA, n_steps=100, seed=1)
    assert "100/100" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)  # missing: then no bar, and no error
    lf.sample(SPRING, ULA, n_steps=100, seed=1)
    assert capsys.readouterr().err == ""


def test_importing_is_light():
    heavy = ["numba", "scipy", "xarray", "arviz", "matplotlib", "tqdm", "sympy", "pandas", "pymbar", "jax"]
    done = cases.run_python("-c", f"import sys, langevin_fast; print([m for m in {heavy} if m in sys.modules])")
    assert done.returncode == 0 and done.stdout == "[]\n", done.stderr
