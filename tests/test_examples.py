"""What the documentation shows runs as it stands: examples, code blocks, the command line."""

import importlib.util
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import langevin_fast as lf

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# blocks that train a network, or show what takes long runs
LONG = ("fit_network", "lf.observers.", "lf.rare.")
BLOCKS = [
    pytest.param(block, id=f"{path.name}-{i}", marks=[pytest.mark.slow] * any(word in block for word in LONG))
    for path in DOCUMENTS
    for i, block in enumerate(re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S))
]


def run_python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run the interpreter with the package that is being tested, wherever that is."""
    paths = filter(None, [str(Path(lf.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )


def test_there_is_something_to_run():
    assert len(EXAMPLES) >= 3
    assert len(BLOCKS) >= 4


ROW_OF_DIGITS = r"^(.{20}) +([\d.]+)% +([\d.]+) +([\d.]+) +([\d.]+)$"
NEEDS = {
    "free_energies": ("pymbar",),
    "digits": ("equinox", "optax", "sklearn"),
    "learned_densities": ("equinox", "optax"),
    "rare_events": ("scipy",),
}


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A function that runs an example once, in a folder of its own."""

    @cache
    def run(name: str) -> tuple[subprocess.CompletedProcess, Path]:
        for library in NEEDS.get(name, ()):
            pytest.importorskip(library)
        folder = tmp_path_factory.mktemp(name)
        return run_python(str(ROOT / "examples" / f"{name}.py"), cwd=folder), folder

    return run


LONG = ("digits", "free_energies", "learned_densities", "low_density", "rare_events")


@pytest.mark.parametrize(
    "name", [pytest.param(path.stem, marks=[pytest.mark.slow] if path.stem in LONG else []) for path in EXAMPLES]
)
def test_examples(name: str, example):
    done, folder = example(name)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 5
    assert "False" not in done.stdout  # they say whether bits agree
    assert "nan" not in done.stdout
    for figure in re.findall(r"^figure: (.*)$", done.stdout, re.M):
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_generated_digits_are_digits(example):
    """Chance level: no shuffled digit is accepted. The limits leave room for other processors' training."""
    output = example("digits")[0].stdout
    rows = {name.strip(): values for name, *values in re.findall(ROW_OF_DIGITS, output, re.M)}
    accepted = {name: float(values[0]) / 100 for name, values in rows.items()}
    assert accepted["the same, shuffled"] <= 0.05
    assert accepted["generated"] >= 0.8
    assert accepted["generated, denoised"] >= 0.8
    for i in (2, 3):  # median and mean of the distance to the nearest training image
        real = float(rows["held-out digits"][i])
        assert float(rows["generated"][i]) >= real
        assert float(rows["generated, denoised"][i]) >= 0.93 * real
    counts = re.search(r"accepted digits 0 ... 9: ([\d ]+)$", output, re.M)
    assert min(int(n) for n in counts[1].split()) > 0


@pytest.mark.slow
def test_annealing_repairs_what_plain_langevin_gets_wrong(example):
    found = [float(p) for p in re.findall(r"(0\.\d{4}) ±", example("low_density")[0].stdout)]
    assert len(found) == 7
    assert all(0.50 < p < 0.52 for p in found[1:4])  # ncsn.0 of tests/data: 0.5084
    assert found[4] < found[5] and all(0.785 < p < 0.805 for p in found[5:])


@pytest.mark.slow
def test_learned_densities_are_near_the_data(example):
    rows = re.findall(r"(-?0\.\d{5}), (-?0\.\d{5}) +([\d.]+)%$", example("learned_densities")[0].stdout, re.M)
    assert len(rows) == 3
    for _, distance, strays in rows:
        assert float(distance) < 0.01  # 0.02 to 0.03 for a normal law with the moments of the data
        assert float(strays) < 8.0


def test_logistic_regression_agrees_with_quadrature(example):
    done = example("logistic_regression")[0]
    rows = re.findall(r"± [\d.]+ +(-?[\d.]+) +([\d.]+)$", done.stdout, re.M)
    assert len(rows) == 4
    for z, rhat in rows:
        assert abs(float(z)) < 5.0
        assert float(rhat) < 1.01


@pytest.mark.parametrize("block", BLOCKS)
def test_code_blocks(block: str, tmp_path: Path):
    if "to_inference_data" in block and importlib.util.find_spec("arviz") is None:
        pytest.skip("needs ArviZ")
    if "open_zarr" in block:
        pytest.importorskip("xarray")
        pytest.importorskip("zarr")
    done = run_python("-c", block, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_info(tmp_path: Path):
    done = run_python("-m", "langevin_fast", "info", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert lf.__version__ in done.stdout
    assert "instruction set" in done.stdout


def test_demo(tmp_path: Path):
    pytest.importorskip("matplotlib")
    done = run_python("-m", "langevin_fast", "demo", "--output", "figure.png", "--seed", "11", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 11" in done.stdout
    assert done.stdout.count("±") == 16
    picture = (tmp_path / "figure.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert 20_000 < len(picture) < 500_000


def test_demo_without_matplotlib(tmp_path: Path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('hidden by a test')\n")
    done = run_python("-m", "langevin_fast", "demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("±") == 16
    assert "langevin-fast[plot]" in done.stdout
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "no/such/folder/figure.png"], "there is no folder"),
        (["--output", "."], "this is a folder"),
        (["--seed", "-1"], "seed must be an integer from 0"),
    ],
)
def test_demo_refuses_before_it_runs(arguments: list[str], message: str, tmp_path: Path):
    done = run_python("-m", "langevin_fast", "demo", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "particle-steps" not in done.stdout


def test_demo_says_when_samples_are_wrong(monkeypatch, capsys, tmp_path: Path):
    from langevin_fast import demo

    biased = demo._Run(lf.ULA(step_size=4e-4, kT=demo.KT), burn_in=10_000, n_steps=20_000)
    monkeypatch.setattr(demo, "RUNS", (biased, biased))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert demo.run_demo(str(tmp_path / "figure.png"), 7) == 1
    assert "do not agree" in capsys.readouterr().out


def test_exact_values_of_the_demo():
    from reference import value

    from langevin_fast import demo

    reference = value("mb.kT=20.0")
    names = ("x", "y", "x2", "y2", "V", "P_B_yx_lt_0p08", "P_C_0p08_to_1p45", "P_A_gt_1p45")
    exact, u, density = demo.exact_values(lf.potentials.MullerBrown(), 20.0)
    np.testing.assert_allclose(exact, [reference[name] for name in names], rtol=1e-9)
    assert (density >= 0.0).all()
    assert (np.diff(u) > 0.0).all()
