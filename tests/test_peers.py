"""The comparison with other libraries: its references are right, and a peer that does something else is found out."""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "benchmarks" / "peers").is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)
sys.path.append(str(ROOT))

from benchmarks.peers import driver, references, report, works  # noqa: E402
from benchmarks.peers.environments import PEERS  # noqa: E402

EFFORT = driver.Effort(rounds=1, duration=0.001)

HALF = """
import peer_numpy
from common import serve

def prepare(task):
    sampler = peer_numpy.prepare(task)
    return sampler._replace(run=lambda n: sampler.run({run}))

serve(prepare)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What is compiled stays for all tests here."""
    return tmp_path_factory.mktemp("peers")


@pytest.fixture
def suite(tmp_path, cache, monkeypatch):
    """suite(names, {name: peer}): the environment is this one."""
    made = []

    def make(names, **files):
        for name in names:
            monkeypatch.setitem(PEERS, name, PEERS[name]._replace(environment=None))
        for name, text in files.items():
            (tmp_path / f"peer_{name}.py").write_text(text)
            monkeypatch.setitem(PEERS, name, driver.Peer(name, None))
        if files:
            monkeypatch.setattr(driver, "HERE", tmp_path)
        made.append(driver.Suite([*names, *files], "double", 1, EFFORT, cache))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("name", ["ula_well", "ula_mixture", "ula_gaussian"])
def test_exact_laws_agree_with_a_textbook_loop(name):
    task, work = works.task(name, "double", 1), works.WORKS[name]
    n_steps, observables = work.checkpoints[0], list(work.observables)
    law = references.exact(task, n_steps).moments
    loop = references._simulated(task, [n_steps], observables, 4000)[n_steps]
    for observable in observables:
        value, error = loop[observable]
        assert abs(value - law[observable][0]) < 5.0 * error, observable


def test_the_law_of_many_steps_is_nearly_that_of_boltzmann():
    task = works.task("ula_well", "double", 1)
    law, boltzmann = references.exact(task, 5000).moments, references._boltzmann_well(task)
    for observable in ("x", "x²"):
        assert law[observable][0] == pytest.approx(boltzmann[observable][0], abs=0.01)


def test_this_package_and_numpy_are_timed(suite):
    results = suite(["langevin_fast", "NumPy"]).row("ula_well", print)
    assert [result["status"] for result in results] == ["ok", "ok"]
    assert results[0]["ratio"] == 1.0
    assert results[1]["value"] > 0.0


@pytest.mark.parametrize("run", ["n // 2", "n + n // 4", "0"])
def test_a_peer_that_makes_another_number_of_steps_is_wrong(suite, run):
    (result,) = suite([], half=HALF.format(run=run)).row("ula_well", print)
    assert result["status"] == "wrong"
    assert "value" not in result


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise SystemExit('no such library')", "no such library"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
    ],
)
def test_a_peer_that_does_not_start_is_missing(suite, text, reason):
    (result,) = suite([], broken=text).row("ula_well", print)
    assert result["status"] == "missing"
    assert reason in result["reason"]


def test_tables_of_two_machines_stand_side_by_side():
    ours = {"row": "ula_well", "peer": "langevin_fast", "precision": "double", "threads": 1}
    ours |= {"status": "ok", "value": 1.5, "ratio": 1.0}
    theirs = ours | {"peer": "NumPy", "value": 6.0, "ratio": 4.0}
    missing = ours | {"peer": "JAX", "status": "missing", "reason": "no network"}
    run = {"machine": report.machine(), "date": report.now(), "versions": {}, "results": [ours, theirs, missing]}
    text = report.markdown([run, run])
    assert "| NumPy | 6 (4 ×) | 6 (4 ×) |" in text
    assert "| JAX | MISSING: no network | ula_well |" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", works.WORKS)
def test_every_row_is_right_here_in_numpy_and_in_c(suite, name):
    results = suite(["langevin_fast", "NumPy", "C++, std", "C++, expert"]).row(name, print)
    assert {result["peer"]: result["status"] for result in results} == dict.fromkeys(
        ["langevin_fast", "NumPy", "C++, std", "C++, expert"], "ok"
    )


def test_the_start_of_every_row_is_finite():
    for name in works.WORKS:
        assert np.isfinite(works.task(name, "single", 1).starts).all()
