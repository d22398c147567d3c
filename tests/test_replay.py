"""Any stretch of a run made again: the frames of a run that stored every step."""

import numpy as np
import pytest
from cases import PRECISIONS, SCHEMES, varied

import langevin_fast as lf

WELL = lf.potentials.DoubleWell(dim=2)


def assert_part(replayed, whole, particles, first, end):
    """`whole` stored every step from its first."""
    i = np.searchsorted(whole.steps, [first, end])
    np.testing.assert_array_equal(replayed.steps, np.arange(first, end))
    np.testing.assert_array_equal(replayed.positions, whole.positions[i[0] : i[1]][:, particles])
    np.testing.assert_array_equal(replayed.streams, whole.streams[particles])
    np.testing.assert_array_equal(
        replayed.times, whole.times[i[0] : i[1]][:, particles] if whole.times.ndim == 2 else whole.times[i[0] : i[1]]
    )
    if whole.velocities is not None:
        np.testing.assert_array_equal(replayed.velocities, whole.velocities[i[0] : i[1]][:, particles])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme_name", SCHEMES)
def test_every_stretch_has_the_bits_of_a_run_that_stored_every_step(scheme_name, precision):
    scheme, arguments = varied(scheme_name, 40, 3)
    arguments |= {"seed": 5, "precision": precision, "n_steps": 50}
    u = lf.potentials.Harmonic([1.0, 2.0, 0.5])
    whole = lf.sample(u, scheme, **arguments)
    coarse = lf.sample(u, scheme, **{**arguments, "n_steps": 43}, burn_in=7, stride=10)
    simulation = lf.Simulation(u, scheme, **{k: v for k, v in arguments.items() if k != "n_steps"})
    simulation.run(50)
    for particles, first, end in (([17], 20, 31), ([39, 0], 1, 3), (np.arange(40), 17, 18), ([3, 4, 5], 30, 51)):
        for run in (coarse, simulation, whole):
            assert_part(run.replay(particles, slice(first, end)), whole, particles, first, end)


def test_all_of_it():
    run = lf.sample(WELL, lf.BAOAB(0.05, friction=1.0), n_particles=3, n_steps=20, burn_in=10, stride=None, seed=1)
    again = run.replay()
    assert again.steps.tolist() == list(range(31))
    np.testing.assert_array_equal(again.positions[0], run.history.first.positions)
    np.testing.assert_array_equal(again.positions[-1], run.final.positions)
    np.testing.assert_array_equal(again.final.velocities, run.final.velocities)


def test_a_replay_of_a_replay():
    run = lf.sample(WELL, lf.MALA(0.3), n_particles=9, n_steps=60, stride=30, seed=1)
    part = run.replay([7, 2], slice(20, 50))
    np.testing.assert_array_equal(part.replay(1, slice(45, 50)).positions, run.replay([2], slice(45, 50)).positions)
    assert part.acceptance_rate.shape == (2,)


def test_numbers_that_change_in_time():
    k, kT = lf.Schedule([0.0, 1.0], [1.0, 3.0]), lf.Schedule([0.2, 0.8], [1.0, 0.1])
    run = lf.sample(
        lf.potentials.Harmonic(k), lf.ULA(0.02, kT=kT), n_particles=5, n_steps=50, burn_in=3, stride=20, seed=1
    )
    every = lf.sample(lf.potentials.Harmonic(k), lf.ULA(0.02, kT=kT), n_particles=5, n_steps=50, burn_in=3, seed=1)
    part = run.replay([4], slice(10, 40))
    assert_part(part, every, [4], 10, 40)
    np.testing.assert_array_equal(part.energies, every.energies[6:36][:, [4]])


def test_a_particle_that_diverged_does_so_again():
    start = np.zeros((4, 1))
    start[2] = 30.0
    run = lf.sample(
        lf.potentials.DoubleWell(), lf.ULA(0.01), initial=start, n_steps=40, stride=10, seed=1, on_divergence="freeze"
    )
    assert run.diverged[2] > 0
    part = run.replay([1, 2], slice(0, 30))
    assert part.diverged.tolist() == [-1, run.diverged[2]]
    np.testing.assert_array_equal(part.positions[[10, 20]], run.positions[[0, 1]][:, [1, 2]])
    late = run.replay([2], slice(25, 41))
    np.testing.assert_array_equal(late.positions, np.broadcast_to(run.final.positions[2], late.positions.shape))


def test_potentials_of_the_user():
    batch = lf.potentials.Batch(gradient=WELL.gradient, dim=2)
    run = lf.sample(batch, lf.ULA(0.01), n_particles=6, n_steps=30, stride=15, seed=1)
    np.testing.assert_array_equal(run.replay([3], slice(15, 31)).positions[[0, 15]], run.positions[:, [3]])


@pytest.mark.parametrize(
    ("particles", "steps", "error", "match"),
    [
        ([5], None, ValueError, "particles must be from 0 to 4"),
        ([-1], None, ValueError, "particles must be from 0 to 4"),
        ([], None, TypeError, "particles must be one or more integers"),
        ([0.5], None, TypeError, "particles must be one or more integers"),
        (None, slice(0, 30), ValueError, "the end of steps must be an integer from 11 to 21"),
        (None, slice(9, 12), ValueError, "the first of steps must be an integer from 10 to 11"),
        (None, slice(12, 12), ValueError, "the first of steps"),
        (None, slice(0, 10, 2), TypeError, "without a stride"),
        (None, 7, TypeError, "without a stride"),
    ],
)
def test_wrong_stretches(particles, steps, error, match):
    simulation = lf.Simulation(WELL, lf.ULA(0.01), n_particles=5, seed=1, first_step=10)
    simulation.run(10)
    with pytest.raises(error, match=match):
        simulation.replay(particles, steps)
