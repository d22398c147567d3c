"""The shape of the code: imports flow one way, and the kernels stay free of the standard library."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import _core
from langevin_fast.potentials.examples import EXAMPLES
from langevin_fast.schemes import OPERATIONS

PACKAGE = Path(lf.__file__).parent
KERNELS = Path(__file__).parents[1] / "cpp" / "kernels" / "kernels.cpp"

# From the leaves up. A module imports from lines above its own only; a folder is one room (see ROOMS).
LAYERS = (
    {"_version", "_core", "bits", "errors", "fingerprints", "functions", "keywords", "memory"},
    {"checks", "elementary"},
    {"boundaries", "math", "regions", "schedules"},
    {"noise", "progress", "jit", "symbolic"},
    {"potentials", "schemes"},
    {"fokker_planck", "gpu", "reference"},
    {"backends"},
    {"rows"},
    {"arguments", "observers"},
    {"history"},
    {"stepping"},
    {"checkpoints", "readings", "trajectory"},
    {"reporters"},
    {"simulation"},
    {"calls", "stages"},
    {"sampling"},
    {"config", "cross_check", "demo", "distributed", "rare", "score"},
    {"cli"},
    {"__init__"},
    {"__main__"},
)

# Inside a room: who may be imported by the others; the room's __init__ and its examples may import all of them.
ROOMS = {
    "potentials": {
        "potentials.base",
        "potentials.batch",
        "potentials.compiled",
        "potentials.driven",
        "potentials.gradient_check",
        "potentials.sum",
    },
    "backends": {"backends.problem", "backends.cpp", "backends.observing"},
    "observers": {
        "observers.base",
        "observers.batches",
        "observers.intervals",
        "observers.sums",
        "observers.values",
        "observers.frames",
    },
    "checkpoints": {
        "checkpoints.container",
        "checkpoints.contents",
        "checkpoints.locks",
        "checkpoints.recipes",
        "checkpoints.signals",
    },
    "reporters": {"reporters.base", "reporters.place", "reporters.store", "reporters.triggers"},
    "schemes": {"schemes.base", "schemes.operations", "schemes.overdamped"},
    "jit": {"jit.aliases", "jit.packs", "jit.lane_functions", "jit.rebuilt"},
    "symbolic": {"symbolic.graph"},
    "fokker_planck": {"fokker_planck.comparison", "fokker_planck.grid"},
    "gpu": {"gpu.device_functions", "gpu.layout", "gpu.reductions", "gpu.source"},
    "cross_check": {"cross_check", "cross_check.report"},
    "distributed": {"distributed.parts"},
    "rare": {"rare.bias", "rare.grid", "rare.hills", "rare.mbar", "rare.profile", "rare.resuming", "rare.walkers"},
    "score": {"score.functions", "score.objectives", "score.network_potential", "score.network_file", "score.network"},
}

# Backends are the rooms that will multiply, so what they may use is said once more, name by name.
BACKENDS_MAY_IMPORT = {
    "boundaries",
    "potentials.base",
    "potentials.batch",
    "potentials.compiled",
    "functions",
    "schemes",
    "schemes.operations",
    "checks",
    "errors",
    "noise",
    "jit",
    "jit.groups",
    "gpu",
    "gpu.kernel",
    "gpu.layout",
    "_core",
}


def module_name(path: Path) -> str:
    """The name relative to the package: "schemes", "backends.cpp"; "backends.__init__" for a folder's own file."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def layer(module: str) -> int:
    room = module.split(".")[0]
    return next(i for i, names in enumerate(LAYERS) if room in names)


def exists(name: str) -> bool:
    return name in MODULES or name == "_core" or f"{name}.__init__" in MODULES


def imports(module: str) -> Iterator[str]:
    """The package's own modules that a module imports, also inside functions, but not for type checking only."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    folder = module.split(".")[:-1]
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            yield from (".".join(name[1:]) or "__init__" for name in names if name[0] == "langevin_fast")
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".") if node.module else []
            if node.level:
                base = folder[: len(folder) - node.level + 1] + base
            elif base and base[0] == "langevin_fast":
                base = base[1:]
            else:
                continue
            for alias in node.names:
                # `from . import checks` names a module, `from .checks import integer` something in one
                name = ".".join([*base, alias.name])
                yield name if exists(name) else ".".join(base) or "__init__"


def test_imports_are_seen():
    assert set(imports("backends.cpp")) == {"_core", "backends.problem", "potentials.compiled"}
    assert {"backends", "backends.problem", "schemes"} <= set(imports("stepping"))
    assert "trajectory" not in set(imports("errors"))  # for type checking only


def test_every_module_has_a_layer():
    placed = set().union(*LAYERS)
    assert {module.split(".")[0] for module in MODULES} <= placed, "give the new module a line in LAYERS"


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_upwards(module: str):
    room = module.split(".")[0]
    for imported in imports(module):
        assert exists(imported), f"{module} imports {imported}, which this test does not find"
        if imported.split(".")[0] != room:
            assert layer(imported) < layer(module), f"{module} imports {imported}, which is not below it"
        elif not module.endswith(("__init__", ".examples")):
            assert imported in ROOMS.get(room, ()), f"{module} imports its neighbour {imported}"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("backends")])
def test_backends_import_leaves_only(module: str):
    others = {name for name in imports(module) if not name.startswith("backends")}
    assert others <= BACKENDS_MAY_IMPORT


def includes(path: Path, seen: dict[Path, list[str]]) -> dict[Path, list[str]]:
    """The system headers of a file and of every file of the project that it includes."""
    path = path.resolve()
    if path not in seen:
        lines = re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text(encoding="utf-8"), re.MULTILINE)
        seen[path] = [name for mark, name in lines if mark == "<"]
        for mark, name in lines:
            if mark == '"':
                includes(path.parent / name, seen)
    return seen


def test_kernels_include_no_standard_library():
    # Functions of the standard library have weak symbols: the linker keeps one copy, perhaps the one compiled for
    # AVX-512, and older processors would run it.
    allowed = {"cstdint", "cstddef", "immintrin.h"}
    found = includes(KERNELS, {})
    assert {"block.hpp", "simd.hpp", "math.hpp", "double_well.hpp"} <= {path.name for path in found}
    offending = {path.name: sorted(set(names) - allowed) for path, names in found.items() if set(names) - allowed}
    assert not offending


def test_every_potential_header_is_in_the_kernels():
    headers = {path.name for path in (KERNELS.parents[1] / "potentials").glob("*.hpp")}
    assert headers == {path.name for path in includes(KERNELS, {}) if path.parent.name == "potentials"}


# --- the places of a potential: see docs/adding_a_potential.md --------------------------------------------------------


def places() -> dict[str, list[str]]:
    """Where a built-in potential has to be, and those that are there."""
    headers, modules = KERNELS.parents[1] / "potentials", PACKAGE / "potentials"
    readme = (KERNELS.parents[2] / "README.md").read_text(encoding="utf-8")
    table = re.search(r"^\| potential \|.*?\n\n", readme, re.MULTILINE | re.DOTALL)
    rows = [line for line in (table[0] if table else "").splitlines() if "your own" not in line]

    def found(paths: Path, pattern: str) -> list[str]:
        """First groups, in all files of a folder or in one file."""
        files = sorted(paths.iterdir()) if paths.is_dir() else [paths]
        texts = (path.read_text(encoding="utf-8") for path in files if path.is_file())
        return [name for text in texts for name in re.findall(pattern, text, re.MULTILINE)]

    user = {"CFunction", "FunctionPotential"}  # of addresses
    by_address_or_elsewhere = {"GroupFunctions", "PointFunctions", "NetworkPotential"}
    return {
        "a header in cpp/potentials": [
            name for name in found(headers, r"^struct (\w+) : PotentialBase") if name not in by_address_or_elsewhere
        ],
        "a line in cpp/potentials/list.hpp": found(headers / "list.hpp", r"^  X\((\w+)\)"),
        "a class in src/langevin_fast/potentials": [
            name for name in found(modules, r"^class (\w+)\(CompiledPotential\)") if name not in user
        ],
        "BUILTIN": [potential.__name__ for potential in lf.potentials.BUILTIN],
        "__all__ of langevin_fast.potentials": [
            name for name in lf.potentials.__all__ if getattr(lf.potentials, name) in lf.potentials.BUILTIN
        ],
        "an instance in EXAMPLES": [example.potential.kind for example in EXAMPLES],
        "a row of the README's table": re.findall(r"`(\w+)`", "\n".join(rows)),
    }


def missing(found: dict[str, list[str]]) -> list[str]:
    everywhere = sorted(set().union(*found.values()))
    return [f"{name} needs {place}" for name in everywhere for place, names in found.items() if name not in names]


def test_every_potential_is_in_every_place():
    assert not missing(places())


def test_what_is_missing_is_said():
    for place in places():
        found = places()
        found[place].remove("Prinz")
        assert missing(found) == [f"Prinz needs {place}"]


def test_lists_of_potentials_have_one_order():
    order = list(_core.potential_names())
    assert [potential.kind for potential in lf.potentials.BUILTIN] == order
    assert [example.potential.kind for example in EXAMPLES] == order


def test_the_page_shows_the_table_of_operations():
    text = (KERNELS.parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| ([A-Z]) \| (\w+) \|", text, re.MULTILINE)
    assert shown == [(row.letter, row.name) for row in OPERATIONS.values()]


def test_the_table_of_operations_is_read_everywhere():
    from langevin_fast.gpu.source import _LINES

    assert set(_LINES) == {row.name for row in OPERATIONS.values() if "tests" not in row.properties}
    for scheme in (
        lf.ULA(0.1),
        lf.TamedULA(0.1),
        lf.LeimkuhlerMatthews(0.1),
        lf.MALA(0.1),
        lf.BAOAB(0.1, friction=1.0),
    ):
        named = scheme.coefficients(np.ones((1, 1)))
        assert {letter: tuple(k) for letter, k in named.items()} == {
            letter: OPERATIONS[letter].coefficients for letter in named
        }
