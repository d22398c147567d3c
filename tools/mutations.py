"""Break the C++ code in many small ways and see that a test notices each of them.

    python tools/mutations.py            all mutations
    python tools/mutations.py NAME ...   those named

Each mutation replaces one piece of the source and names the tests of which at least one must fail then. The work is
done in a copy of the tree with one instruction-set level, few potentials and no optimisation, so that a mutation takes
seconds. The exit status is 0 if every mutation was caught. Needs what building and testing need: pybind11, cmake,
ninja, and the packages of the extra `test`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
POTENTIALS = {"Free", "Harmonic", "DoubleWell", "MullerBrown"}  # that the tests below use
LONGEST_TEST = 60.0  # seconds; some mutations make loops endless


class Mutation(NamedTuple):
    """`old`, which occurs once in cpp/`file`, becomes `new`; of `tests`, as pytest names them, one must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str


TEXTBOOK = "tests/test_schemes.py::test_every_step_is_the_textbooks[{}-scalars-3-double]".format
OVERDAMPED = "tests/test_schemes.py::test_every_overdamped_step_is_the_textbooks[{}-False-3-double]".format
MALA = "tests/test_mala.py::test_every_step_is_the_plain_one_for_small_crowds"
STAGES = "tests/test_runner.py::test_stages_are_one_run_with_the_bits_of_many[Harmonic-{}-double]".format
FROZEN = "tests/test_divergence.py::test_freezing_leaves_the_others_alone[baseline-{}-double]".format
FIRST = "tests/test_divergence.py::test_the_first_divergence_is_found_whatever_the_chunks_and_threads[ULA-double]"
STREAMS = "tests/test_noise.py::test_compiled_equals_numpy_to_the_bit[baseline-thermal-normal-{}]".format
WALK = "tests/test_noise.py::test_free_particles_walk_along_their_streams"
KEPT = "tests/test_runner.py::test_what_is_kept_changes_no_bits"
CUT_FRAMES = "tests/test_runner.py::test_frames_do_not_depend_on_chunks"
CUT_STAGES = "tests/test_runner.py::test_a_run_that_is_cut_where_a_stage_begins"
INTERRUPT = "tests/test_runner.py::test_an_interrupt_just_after_the_kernels[cpp]"
OBSERVERS = "tests/test_runner.py::test_several_observers_at_once[BAOAB-cpp]"
LOOKS = "tests/test_observers.py -k 'same_bits_as_the_twin'"
TOGETHER = "tests/test_observers.py -k made_together"
COUNTS = "tests/test_observers.py -k counts_of_frozen"
ARRIVALS = "tests/test_work_and_arrivals.py"
INTERVALS = "tests/test_intervals.py -k compiled_conditions"
STOPS = f"{ARRIVALS} -k 'among_others or ends_with_the_arrival'"
WALLS = "tests/test_boundaries.py"
BATCH = "tests/test_batch.py::test_same_bits_on_every_level"
LINE = f"{BATCH} -k '1]'"
CELLS = f"{BATCH} -k '37]'"

# in the order of the files, for a change back is compiled with the next one
MUTATIONS = [
    # ---- operations
    Mutation("drift", "schemes/operations.hpp", "s.x + k[of_drift::time]", "s.x - k[of_drift::time]", TEXTBOOK("BAO")),
    Mutation("kick", "schemes/operations.hpp", "s.v - k[of_kick", "s.v + k[of_kick", TEXTBOOK("BAO")),
    Mutation(
        "Ornstein-Uhlenbeck: coefficients exchanged", "schemes/operations.hpp", "k[decay] * s.v + k[noise] * s.xi",
        "k[noise] * s.v + k[decay] * s.xi", TEXTBOOK("BAO"),
    ),
    Mutation(
        "Euler-Maruyama: uphill", "schemes/operations.hpp",
        "  using namespace of_euler_maruyama;\n  s.x = (s.x + k[noise] * s.xi) - k",
        "  using namespace of_euler_maruyama;\n  s.x = (s.x + k[noise] * s.xi) + k", OVERDAMPED("ULA"),
    ),
    Mutation(
        "tamed Euler: not tamed", "schemes/operations.hpp", "drift / (T(RealOf<T>(1)) + size)",
        "drift / (T(RealOf<T>(1)) + T(RealOf<T>(0)) * size)", OVERDAMPED("TamedULA"),
    ),
    Mutation(
        "tamed Euler: size signed", "schemes/operations.hpp", "-drift, drift)", "drift, drift)", OVERDAMPED("TamedULA"),
    ),
    Mutation(
        "Leimkuhler-Matthews: the same normal twice", "schemes/operations.hpp", "s.xi + s.next_xi", "s.xi + s.xi",
        OVERDAMPED("LM"),
    ),
    Mutation(
        "proposal: noise of half the size", "schemes/operations.hpp",
        "  using namespace of_propose;\n  s.x = (s.x + k[noise] * s.xi)",
        "  using namespace of_propose;\n  s.x = (s.x + T(RealOf<T>(0.5)) * (k[noise] * s.xi))", MALA,
    ),
    Mutation(
        "Metropolis ratio: forward and backward exchanged", "schemes/operations.hpp", "(backward - forward);",
        "(forward - backward);", MALA,
    ),
    Mutation(
        "Metropolis ratio: energy difference", "schemes/operations.hpp", "-(energy_difference * inverse_kT)",
        "(energy_difference * inverse_kT)", MALA,
    ),
    Mutation(
        "acceptance of an energy of -inf", "schemes/operations.hpp",
        " & less(log_ratio, T(RealOf<T>(__builtin_inf())))", "",
        "tests/test_mala.py::test_an_energy_of_minus_infinity_is_rejected[cpp-150-double]",
    ),
    # ---- a group of particles
    Mutation(
        "acceptances of a chunk forgotten", "kernels/group.hpp", "stretch_->accepted[particle(lane)] += ",
        "stretch_->accepted[particle(lane)] = ", MALA,
    ),
    Mutation(
        "gradient kept across rows", "kernels/group.hpp",
        "    if (problem_.parameter_row_stride) positions_changed();\n", "", STAGES("BAOAB"),
    ),
    Mutation(
        "coefficients of a row not loaded", "kernels/group.hpp",
        "    if (row == row_) return;\n    row_ = row;\n    load_coefficients();\n",
        "    if (row == row_) return;\n    row_ = row;\n", STAGES("ULA"),
    ),
    Mutation(
        "parameters of a row not loaded", "kernels/group.hpp",
        "problem_.parameters + row_ * problem_.parameter_row_stride", "problem_.parameters", STAGES("ULA"),
    ),
    Mutation(
        "velocities not recorded", "kernels/group.hpp",
        "      if (r.velocities) write(r.velocities + offset, v + (series.begin + k), last_v_);\n", "", OBSERVERS,
    ),
    Mutation(
        "frozen particle shown as it is", "kernels/group.hpp", "frozen_[lane] ? last : current", "current",
        FROZEN("ULA"),
    ),
    Mutation(
        "last finite state not kept", "kernels/group.hpp",
        "      set_lane(last_x_[c], lane, get_lane(x[c], lane));\n", "", FROZEN("ULA"),
    ),
    Mutation(
        "last finite velocity not kept", "kernels/group.hpp",
        "      if (problem_.has_velocities()) set_lane(last_v_[c], lane, get_lane(v[c], lane));\n", "",
        FROZEN("BAOAB"),
    ),
    Mutation(
        "infinite velocity overlooked", "kernels/group.hpp", "sum += v[c] * T(Real(0))", "sum += T(Real(0))",
        "tests/test_divergence.py -k velocity_alone",
    ),
    Mutation(
        "noise window too short", "kernels/group.hpp", "end * normals + ahead)", "(end - 1) * normals + ahead)",
        f"{WALK}[baseline-1-1-double]",
    ),
    Mutation(
        "noise window without the look ahead", "kernels/group.hpp", "end * normals + ahead)", "end * normals)",
        OVERDAMPED("LM"),
    ),
    Mutation(
        "look ahead begins anew", "kernels/group.hpp", "Tag::thermal, first * normals, end", "Tag::thermal, 0, end",
        OVERDAMPED("LM"),
    ),
    Mutation(
        "last lane not stored", "kernels/group.hpp", "for (int lane = 0; lane < valid_; ++lane) {\n      const T* from",
        "for (int lane = 0; lane < valid_ - 1; ++lane) {\n      const T* from",
        "tests/test_bits.py -k 'small_crowds and DoubleWell and LeimkuhlerMatthews'",
    ),
    Mutation(
        "coefficients of other particles", "kernels/coefficients.hpp", "value[particle(lane) * c.particle_stride]",
        "value[lane * c.particle_stride]", "tests/test_bits.py -k 'parameters_of_their_own and double'",
    ),
    Mutation(
        "coefficients of a cell's first component", "kernels/coefficients.hpp", "load_cell<Cell>(k[i].value + c)",
        "repeat<Cell>(k[i].value[c])", CELLS,
    ),
    # ---- cells
    Mutation("sum of a cell", "kernels/cells.hpp", "sum.v[0] += cell.v[i];", "sum.v[0] += cell.v[0];", CELLS),
    Mutation("sum of one particle's cell", "kernels/cells.hpp", "sum += cell.v[0][i];", "sum += cell.v[0][0];", CELLS),
    # ---- the step loops
    Mutation(
        "step of a divergence off by one", "kernels/block.hpp", "this->freeze_diverged(step)",
        "this->freeze_diverged(step - 1)", FIRST,
    ),
    Mutation(
        "row not turned", "kernels/block.hpp",
        "        this->use_row(row_of(*stretch_, step));\n        stop", "        stop", STAGES("ULA"),
    ),
    Mutation(
        "line: energy not restored on rejection", "kernels/block.hpp",
        "            energy = select(accept, energy, old_energy);\n", "",
        "tests/test_mala.py -k 'plain_one and well and scalars-double'",
    ),
    Mutation(
        "line: gradient not restored on rejection", "kernels/block.hpp",
        "            s.gradient = select(accept, s.gradient, old_gradient);\n", "", LINE,
    ),
    Mutation(
        "line: old gradient not kept", "kernels/block.hpp", "            old_gradient = s.gradient;\n", "", LINE,
    ),
    Mutation(
        "line: gradient kept after a move", "kernels/block.hpp",
        "        if (properties & kMoves) gradient_is_current = energy_is_current = false;\n", "", LINE,
    ),
    Mutation("line: energy forgotten", "kernels/block.hpp", "    if (tests) energy_ = energy;\n", "", LINE),
    Mutation(
        "line: gradient forgotten", "kernels/block.hpp", "    if (gradient_is_current) g_[0] = s.gradient;\n", "",
        LINE,
    ),
    Mutation("line: normals used again", "kernels/block.hpp", "    normals_.drop_until(normal);\n", "", LINE),
    Mutation("line: look ahead forgotten", "kernels/block.hpp", "    if (ahead) xi_[0] = s.next_xi;\n", "", LINE),
    Mutation(
        "line: the same normal twice", "kernels/block.hpp", "          if (!ahead) s.xi = s.next_xi;\n",
        "          s.xi = s.next_xi;\n", LINE,
    ),
    Mutation(
        "energy not restored on rejection", "kernels/block.hpp",
        "    energy_ = select(accept, energy_, old_energy_);\n", "", MALA,
    ),
    Mutation(
        "gradient not restored on rejection", "kernels/block.hpp",
        "      store_cell(g_ + c, select(all, load_cell<Cell>(g_ + c), load_cell<Cell>(old_g_ + c)));\n", "", MALA,
    ),
    Mutation(
        "rejections counted", "kernels/block.hpp",
        "    accepted_ += select(accept, T(Real(1)), T(Real(0)));\n    energy_",
        "    accepted_ += select(accept, T(Real(0)), T(Real(1)));\n    energy_", MALA,
    ),
    Mutation(
        "reverse move from the wrong side", "kernels/block.hpp",
        "squared_noise(load_cell<Cell>(x_ + c), load_cell<Cell>(g_ + c)",
        "squared_noise(load_cell<Cell>(x_ + c), load_cell<Cell>(old_g_ + c)", MALA,
    ),
    Mutation(
        "gradient kept after a move", "kernels/block.hpp",
        "    if (pass.properties & kMoves) this->positions_changed();\n", "", TEXTBOOK("BABAOABAB"),
    ),
    Mutation(
        "look ahead does not move on", "kernels/block.hpp", "      store_cell(xi_ + c, s.next_xi);\n", "",
        f"{BATCH} -k '3]'",
    ),
    Mutation("components of one normal", "kernels/block.hpp", "apply(cell, c, xi + c)", "apply(cell, c, xi)", WALK),
    # ---- what falls on a step
    Mutation(
        "recordings off by one", "kernels/looks.hpp", "past / due.every + 1", "past / due.every", CUT_FRAMES,
    ),
    Mutation(
        "second recording lost", "kernels/looks.hpp",
        "i < n_; ++i) {\n      for_series(", "i < 1; ++i) {\n      for_series(", OBSERVERS,
    ),
    # ---- observers, and what they do
    Mutation(
        "products of one value", "observers/sums.hpp", "return relative(e, i, look, lane, particle) * b;",
        "return b * b;", LOOKS,
    ),
    Mutation(
        "values not relative to the first", "observers/sums.hpp", "at.series.index == 0 && i < k",
        "at.series.index == 1 && i < k", LOOKS,
    ),
    Mutation(
        "batches begin one late", "observers/sums.hpp", "number = (at.series.index + begin) / length",
        "number = (at.series.index + begin + 1) / length", LOOKS,
    ),
    Mutation(
        "bin of the upper end", "observers/histogram.hpp", "(place >= 0.0) & (place < n)",
        "(place > 0.5) & (place < n)", LOOKS,
    ),
    Mutation(
        "ring one late", "observers/lags.hpp", "slot - lag + (lag > slot ? p : 0)",
        "slot - lag + (lag > slot ? p - 1 : 0)", LOOKS,
    ),
    Mutation(
        "batches of pairs begin one late", "observers/lags.hpp", "(1 + index / at.sizes[5])",
        "(1 + (index + 1) / at.sizes[5])", LOOKS,
    ),
    Mutation("levels every look", "observers/lags.hpp", "place = index >> level", "place = index", LOOKS),
    Mutation(
        "looks put off beyond a move", "kernels/looks.hpp", " || o.restart_x ||", " ||",
        f"{ARRIVALS} -k 'chunks and restart'",
    ),
    Mutation(
        "accepted until later looks", "kernels/looks.hpp", " || (tests && o.stops)", "", STOPS,
    ),
    Mutation(
        "looks go on where a particle is stopped", "kernels/group.hpp",
        "          end = series.begin + first + 1;\n", "", STOPS,
    ),
    Mutation(
        "U at the first look", "kernels/block.hpp", "evaluate(kReadsEnergy, kept_x_ + i)",
        "evaluate(kReadsEnergy, kept_x_)", TOGETHER,
    ),
    Mutation(
        "looks of a series once", "kernels/looks.hpp", "work(Series{index, first, i - first});",
        "work(Series{index, first, 1});", TOGETHER,
    ),
    Mutation("velocity of another look", "kernels/block.hpp", "kept_v_[n_kept_] = s.v;", "kept_v_[0] = s.v;", TOGETHER),
    Mutation("looks counted twice", "kernels/block.hpp", "        this->forget_looks(true);\n", "", COUNTS),
    Mutation("counts not restored", "kernels/group.hpp", "weight_ = take_back ? -1 : 1;", "weight_ = 1;", COUNTS),
    Mutation(
        "half step from the wrong side", "kernels/observing.hpp",
        "v[c] + CoefficientsAt", "v[c] - CoefficientsAt",
        "tests/test_observers_values.py -k 'emperature'",
    ),
    Mutation(
        "arrived particles go on", "kernels/group.hpp",
        "            frozen_[lane] = any_frozen_ = true;\n            continue;", "            continue;", ARRIVALS,
    ),
    Mutation(
        "restart forgets the gradient", "kernels/group.hpp", "    if (moved) positions_changed();\n", "", ARRIVALS,
    ),
    Mutation(
        "restart keeps the gradient", "kernels/runner.cpp", "!stretch.particles && !restarts", "!stretch.particles",
        ARRIVALS,
    ),
    Mutation(
        "infinity arrives", "kernels/group.hpp", " || get_lane(bad, lane) != Real(0)) continue;",
        ") continue;", ARRIVALS,
    ),
    Mutation(
        "work counted as heat", "kernels/block.hpp", "sums_[properties & kDrawsNormals ? 1 : 2]",
        "sums_[properties & kDrawsNormals ? 2 : 1]", ARRIVALS,
    ),
    Mutation(
        "energies taken for work", "kernels/block.hpp", "sums_[0] = energy - accounted_energy_;", "sums_[0] = energy;",
        ARRIVALS,
    ),
    # ---- walls
    Mutation("mirror image not turned", "kernels/block.hpp", "g_[c] = signs_[c] * g_[c];", "g_[c] = g_[c];", WALLS),
    Mutation(
        "upper wall below", "kernels/boundary.hpp", "wall == Wall::upper ? greater(z",
        "wall == Wall::lower ? greater(z", WALLS,
    ),
    Mutation(
        "the upper end is in the box", "kernels/boundary.hpp", "select(equal(y, y), lo, y)",
        "select(equal(y, y), hi, y)", f"{WALLS} -k upper_end_of_a_period",
    ),
    # ---- noise
    Mutation(
        "window goes on at the wrong row", "core/streams.hpp", "next_ = first + uint64_t(n)",
        "next_ = next_ + uint64_t(n)", "tests/test_bits.py -k within_a_block",
    ),
    Mutation(
        "precisions share a tag", "core/streams.hpp", "sizeof(Real) == 4 ? uint64_t(kSinglePrecision) : 0", "0",
        STREAMS("single"),
    ),
    Mutation("high word of a stream", "core/streams.hpp", "((particle >> 32) & 0xffffffu) | ", "", STREAMS("double")),
    Mutation(
        "high words taken as shared", "core/streams.hpp", "    if (lanes.shared_high && same_word1) {",
        "    if (same_word1) {", WALK,
    ),
    Mutation("high word of a block", "core/streams.hpp", "static_cast<uint32_t>(first_block >> 32)", "0", WALK),
    Mutation(
        "Philox: round keys", "core/philox.hpp", "k1 += 0xBB67AE85u", "k1 += 0x9E3779B9u",
        "tests/test_noise.py -k known_answer",
    ),
    Mutation("Philox: a crowd's block", "core/philox.hpp", "word0 + uint32_t(i) * stride", "word0", WALK),
    # ---- potentials
    Mutation(
        "gradient of a potential", "potentials/double_well.hpp", "T(p[3]) * x[c]", "T(p[2]) * x[c]",
        "tests/test_potentials.py -k 'gradient_is_the_formulas and DoubleWell'",
    ),
    # ---- the coupled loop
    Mutation(
        "coefficient of element i", "kernels/coupled.cpp", "load_cell<T>(c.value + i) :", "load_cell<T>(c.value) :",
        f"{BATCH} -k ULA",
    ),
    Mutation(
        "coupled test: first component's coefficient", "kernels/coupled.cpp", "? gather(k.value, i, dim, valid)",
        "? gather(k.value, i, 1, valid)", f"{BATCH} -k MALA",
    ),
    Mutation(
        "coupled test: gradient of a rejected proposal", "kernels/coupled.cpp",
        "select(accept, load_cell<Wide>(m.new_g + i), load_cell<Wide>(m.g + i))", "load_cell<Wide>(m.new_g + i)",
        "tests/test_batch.py -k 'same_bits_as_cpp and MALA and DoubleWell'",
    ),
    # ---- groups
    Mutation(
        "particles after the wide groups", "kernels/kernels.cpp",
        "after_wide + (index - groups.wide) * kLanesOf<Narrow>", "after_wide + index * kLanesOf<Narrow>",
        "tests/test_bits.py -k 'small_crowds and DoubleWell and BAOAB'",
    ),
    # ---- passes
    Mutation(
        "kick joins after a drift", "kernels/passes.cpp",
        " &&\n         !((pass.properties & kMoves) && (properties & kReadsGradient))", "", TEXTBOOK("ABOBA"),
    ),
    Mutation(
        "two normals in one pass", "kernels/passes.cpp", " && !(pass.properties & properties & kDrawsNormals)", "",
        TEXTBOOK("OBOAAB"),
    ),
    Mutation(
        "draws not numbered", "kernels/passes.cpp", "draw = result.normals_per_step++", "result.normals_per_step++",
        f"{BATCH} -k OBABO",
    ),
    # ---- the alarm
    Mutation(
        "an interval in which a particle is is not looked at", "kernels/alarm.hpp",
        "below = infinity;  // the next look is due", "below = -infinity;", INTERVALS,
    ),
    Mutation(
        "the last of several intervals alone", "kernels/alarm.hpp", "above = lo < above ? lo : above;", "above = lo;",
        INTERVALS,
    ),
    Mutation(
        "looks after the alarm", "kernels/looks.hpp", "    n_planned_ = last + 1;\n", "", INTERVALS,
    ),
    Mutation(
        "the alarm at a later step", "kernels/block.hpp", "look = stop = until = step + 1;", "look = stop = until;",
        INTERVALS,
    ),
    # ---- the runner
    Mutation(
        "kept though another row comes", "kernels/runner.cpp",
        " && (first_row == known_row_ || problem_.parameter_row_stride == 0)", "", CUT_STAGES,
    ),
    Mutation("kept though the state is another", "kernels/runner.cpp", "goes_on && known_", "known_", INTERRUPT),
    Mutation(
        "kept though a move follows", "kernels/runner.cpp",
        "(pass.properties & kReadsGradient)) && !(pass.properties & kMoves)", "(pass.properties & kReadsGradient))",
        TEXTBOOK("BAO"),
    ),
    Mutation(
        "threads that cannot be had", "kernels/runner.cpp", "    if (could < wanted) threads = had",
        "    if (could < 0) threads = had", "tests/test_runner.py -k threads_that_cannot_be_had",
    ),
]  # fmt: skip


class Tree:
    """A copy of the source tree and its build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignore = shutil.ignore_patterns("*.so", "__pycache__", ".*")
        for name in ("cpp", "src", "tests"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        for name in ("CMakeLists.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        listed = folder / "cpp" / "potentials" / "list.hpp"
        others = r"^  X\((?!(?:{})\)).*\n".format("|".join(POTENTIALS))
        # the line after the last potential ends the macro
        listed.write_text(re.sub(others, "", listed.read_text(), flags=re.MULTILINE))

    def configure(self) -> None:
        """Prepare the build."""
        pybind11 = [sys.executable, "-m", "pybind11", "--cmakedir"]
        found = subprocess.run(pybind11, capture_output=True, text=True, check=True).stdout.strip()
        package = self.folder / "src" / "langevin_fast"
        settings = {
            "Python_EXECUTABLE": sys.executable,
            "pybind11_DIR": found,
            "LANGEVIN_FAST_LEVELS": "baseline",
            "CMAKE_BUILD_TYPE": "Debug",  # for others pybind11 asks for optimisation while linking
            "CMAKE_CXX_FLAGS_DEBUG": "-O0",
            "CMAKE_LIBRARY_OUTPUT_DIRECTORY": str(package),
        }
        given = [f"-D{name}={value}" for name, value in settings.items()]
        subprocess.run(
            ["cmake", "-S", self.folder, "-B", self.folder / "build", "-G", "Ninja", "--log-level=WARNING", *given],
            check=True,
        )

    def build(self) -> str | None:
        """Compile what has changed; what the compiler said if it did not."""
        command = ["ninja", "-C", self.folder / "build", f"-j{os.cpu_count()}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else done.stdout

    def test(self, *tests: str) -> subprocess.CompletedProcess[str]:
        """Run tests until one fails."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src")}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *tests]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST_TEST
        )


def words(tests: str) -> list[str]:
    """Arguments of pytest; names of tests may have spaces within brackets."""
    return [word.strip("'") for word in re.findall(r"'[^']*'|(?:[^\s\[]|\[[^\]]*\])+", tests)]


def outcome(tree: Tree, mutation: Mutation) -> str:
    """What became of a mutation; the source is as before afterwards."""
    path = tree.folder / "cpp" / mutation.file
    before = path.read_text()
    if before.count(mutation.old) != 1:
        return f"DOES NOT APPLY: the text occurs {before.count(mutation.old)} times"
    path.write_text(before.replace(mutation.old, mutation.new))
    try:
        errors = tree.build()
        if errors is not None:
            return "DOES NOT COMPILE\n" + errors
        try:
            done = tree.test(*words(mutation.tests))
        except subprocess.TimeoutExpired:
            return "caught (no end)"
    finally:
        path.write_text(before)
    if done.returncode == 0:
        return "SURVIVED"
    failed = re.findall(r"^(?:FAILED|ERROR) .*?::(.*?)(?: - |$)", done.stdout, re.MULTILINE)
    if done.returncode == 1 and failed:
        return f"caught by {failed[0]}"
    if done.returncode < 0:
        return f"caught (signal {-done.returncode})"
    return "TESTS DO NOT RUN\n" + done.stdout + done.stderr


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args().names
    unknown = set(names) - {mutation.name for mutation in MUTATIONS}
    if unknown:
        parser.error(f"no such mutation: {', '.join(sorted(unknown))}")
    chosen = [mutation for mutation in MUTATIONS if not names or mutation.name in names]

    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder))
        tree.configure()
        errors = tree.build()
        if errors is not None:
            print(errors)
            return 1
        for tests in dict.fromkeys(mutation.tests for mutation in chosen):
            done = tree.test(*words(tests))
            if done.returncode != 0:
                print(f"without any mutation {tests} fails\n{done.stdout}{done.stderr}")
                return 1
        missed = 0
        for mutation in chosen:
            started = time.monotonic()
            result = outcome(tree, mutation)
            missed += not result.startswith("caught")
            print(f"{mutation.name:50} {time.monotonic() - started:4.0f} s  {result}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
