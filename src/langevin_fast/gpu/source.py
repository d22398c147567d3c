"""The source of a kernel: many steps of one particle, as straight lines of code for one program and dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .. import _core
from ..schemes import OPERATIONS
from .layout import Layout, Read

# Up to here loops over components are written out, so that the state stays in registers.
_LARGEST_UNROLLED = 16

# What each operation does with component {{c}}; its coefficients by name, its normals as xi (and xi_ahead, xi where it
# looks ahead). The same arithmetic as in cpp/schemes/operations.hpp.
_LINES = {
    "drift": ("x[{c}] = x[{c}] + {time} * v[{c}]",),
    "kick": ("v[{c}] = v[{c}] - {time_over_mass} * g[{c}]",),
    "ornstein_uhlenbeck": ("v[{c}] = {decay} * v[{c}] + {noise} * xi",),
    "euler_maruyama": ("x[{c}] = (x[{c}] + {noise} * xi) - {mobility} * g[{c}]",),
    "tamed_euler": (
        "d = {mobility} * g[{c}]",
        "x[{c}] = (x[{c}] + {noise} * xi) - d / (one + (-d if d < zero else d))",
    ),
    "leimkuhler_matthews": ("x[{c}] = (x[{c}] + {noise} * (xi_ahead[{c}] + xi)) - {mobility} * g[{c}]",),
    "propose": ("x[{c}] = (x[{c}] + {noise} * xi) - {mobility} * g[{c}]",),
}


def source(layout: Layout) -> str:
    """Python code of the kernel.

    Its arguments: the state before and after (x_in, x_out, and v_in, v_out where there are velocities), frames_x and
    frames_v, the steps after which there are frames, with one more that never comes, streams, parameters (rows, p),
    accepted, diverged, a flag that is set if a particle is not finite at the end, the halves of the seed, first_step,
    n_steps, the row of the schedule, then the coefficients in order, each (1 or rows, 1 or n, 1 or dim).

    Where there are observers: the plan, of each its first and every, and where its part of the next arrays begins;
    sizes, numbers, reals (rows, n), marks (rows, n) and counts; weights (k, 1 or n, 1 or dim); and the positions and
    velocities at which particles go on, for each that puts them there.
    """
    return _Source(layout).text()


class _Source:
    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.lines: list[str] = []
        self.indent = 0
        self.words = 4 if layout.single else 2

    def write(self, *lines: str) -> None:
        self.lines += ["    " * self.indent + line for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.write(head)
        self.indent += 1
        yield
        self.indent -= 1

    def each_component(self, *lines: str) -> None:
        """The lines for every component; "{c}" is its number."""
        if self.layout.dim <= _LARGEST_UNROLLED:
            for c in range(self.layout.dim):
                self.write(*(line.format(c=c) for line in lines))
        else:
            with self.block("for c in range(dim):"):
                self.write(*(line.format(c="c") for line in lines))

    # --- the parts

    def text(self) -> str:
        layout = self.layout
        state = ("x", "v") if layout.has_velocities else ("x",)
        names = [f"{s}_{which}" for s in state for which in ("in", "out")] + [f"frames_{s}" for s in state]
        names += ["frame_steps", "streams", "parameters", "accepted", "diverged", "not_finite", "key0", "key1"]
        names += ["first_step", "n_steps", "row_now"]
        names += [f"k{i}_{j}" for i, shapes in enumerate(layout.shapes) for j in range(len(shapes))]
        if layout.observations:
            names += ["plan", "sizes", "numbers", "reals", "marks", "counts", "weights"]
            names += [f"restart{j}_{s}" for j, o in enumerate(layout.observations) if o.restarts for s in state]
        with self.block(f"def kernel({', '.join(names)}):"):
            self.write("i = cuda.grid(1)")
            with self.block("if i >= x_in.shape[0]:"):
                self.write("return")
            self.prologue(state)
            with self.block("for _ in range(n_steps):"):
                if layout.checked:
                    with self.block("if not frozen:"):
                        self.step()
                        self.check(state)
                else:
                    self.step()
                self.write("step += 1")
                with self.block("if step == next_frame:"):
                    self.each_component(*(f"frames_{s}[frame, i, {{c}}] = {s}[{{c}}]" for s in state))
                    self.write("frame += 1", "next_frame = frame_steps[frame]")
                if layout.observations:
                    self.look(state)
            self.epilogue(state)
        return "\n".join(self.lines) + "\n"

    def prologue(self, state: tuple[str, ...]) -> None:
        layout = self.layout
        arrays = [*state, "g"]
        arrays += ["xi_ahead"] if layout.looks_ahead else []
        arrays += ["old_x", "old_g"] if layout.metropolised else []
        arrays += [f"last_{s}" for s in state] if layout.checked else []
        self.write(*(f"{array} = cuda.local.array(dim, real)" for array in arrays))
        self.each_component(*(f"{s}[{{c}}] = {s}_in[i, {{c}}]" for s in state))
        self.write("p = parameters[min(row_now, parameters.shape[0] - 1)]")  # one row, or as many as there are
        for i, shapes in enumerate(layout.shapes):
            for j, (per_row, per_particle, per_component) in enumerate(shapes):
                place = f"{'row_now' if per_row else '0'}, {'i' if per_particle else '0'}"
                if per_component:
                    self.write(f"c{i}_{j} = cuda.local.array(dim, real)")
                    self.each_component(f"c{i}_{j}[{{c}}] = k{i}_{j}[{place}, {{c}}]")
                else:
                    self.write(f"c{i}_{j} = k{i}_{j}[{place}, 0]")
        self.write("stream = streams[i]", "low, high = stream & u64(0xFFFFFFFF), stream >> u64(32)")
        self.write(f"test_high = high | u64({self.tag('metropolis')})", f"high = high | u64({self.tag('thermal')})")
        # No block has this number: the first draw makes one.
        self.write("block = u64(0xFFFFFFFFFFFFFFFF)", f"{self.words_of('z')} = {', '.join(['zero'] * self.words)}")
        if layout.metropolised:
            self.write("test_block = u64(0xFFFFFFFFFFFFFFFF)")
            self.write(f"{self.words_of('w')} = {', '.join(['zero'] * self.words)}", "n_accepted = 0")
        self.write("step, frame, next_frame = first_step, 0, frame_steps[0]")
        if layout.checked:
            self.write("frozen = diverged[i] >= 0")
            self.keep(state)
        if layout.observations:
            self.begin_looks()
        if layout.looks_ahead:
            self.draw("u64(step) * u64(dim)", "xi_ahead[{c}] = xi")
        self.gradient_is_current = layout.metropolised or self.survives_a_step()
        if self.gradient_is_current:
            self.compute_gradient()

    def tag(self, name: str) -> int:
        """The tag of a stream, at its place in the counter."""
        return _core.TAGS[name] + (_core.SINGLE_PRECISION_TAG if self.layout.single else 0) << 24

    def survives_a_step(self) -> bool:
        """Whether the gradient at the end of a step is the one that the next one begins with."""
        last = dict.fromkeys(("reads_gradient", "moves"), -1)
        for i, letter in enumerate(self.layout.letters):
            last |= {name: i for name in last if name in OPERATIONS[letter].properties}
        return last["reads_gradient"] > last["moves"]

    def compute_gradient(self) -> None:
        self.write("energy = energy_gradient(x, g, p)" if self.layout.metropolised else "gradient(x, g, p)")

    def words_of(self, name: str) -> str:
        return ", ".join(f"{name}{i}" for i in range(self.words))

    def draw(self, row: str, *use: str) -> None:
        """Lines that use `xi`, the normal number `row` + c, for every component."""
        self.write(f"row = {row}")
        self.each_component("number = row + u64({c})", *self.pick("block", "z", "normals", "high", "xi"), *use)

    def pick(self, block: str, word: str, make: str, high: str, name: str) -> list[str]:
        """Lines for number `number` of a stream, from the Philox block at hand or a new one."""
        shift, mask = (2, 3) if self.layout.single else (1, 1)
        choice = f"{word}{self.words - 1}"
        for i in reversed(range(self.words - 1)):
            choice = f"{word}{i} if place == u64({i}) else {choice}"
        return [
            f"if number >> u64({shift}) != {block}:",
            f"    {block} = number >> u64({shift})",
            f"    {self.words_of(word)} = {make}({block}, low, {high}, key0, key1)",
            f"place = number & u64({mask})",
            f"{name} = {choice}",
        ]

    def step(self) -> None:
        layout = self.layout
        current = self.gradient_is_current
        for i, letter in enumerate(layout.letters):
            operation = OPERATIONS[letter]
            is_ = operation.properties
            k = self.coefficients(i)
            if "reads_gradient" in is_ and not current:
                self.compute_gradient()
                current = True
            if "tests" in is_:
                self.test(k, layout.draws[i])
                continue
            before, after = [], []
            if "proposes" in is_:
                self.write("old_energy, forward = energy, zero")
                before = ["old_x[{c}], old_g[{c}] = x[{c}], g[{c}]"]
                after = [
                    f"d = (x[{{c}}] - old_x[{{c}}]) + {k['mobility']} * old_g[{{c}}]",
                    "forward = forward + d * d",
                ]
            lines = [*before, *(line.format(**k, c="{c}") for line in _LINES[operation.name]), *after]
            if "draws_normals" in is_:
                row = f"(u64(step) * u64({layout.normals_per_step}) + u64({layout.draws[i]})) * u64(dim)"
                if "looks_ahead" in is_:
                    self.draw(f"{row} + u64({layout.normals_per_step}) * u64(dim)", *lines, "xi_ahead[{c}] = xi")
                else:
                    self.draw(row, *lines)
            else:
                self.each_component(*lines)
            current = current and "moves" not in is_

    def coefficients(self, i: int) -> dict[str, str]:
        """Those of operation number i, by name."""
        return {
            name: f"c{i}_{j}[{{c}}]" if self.layout.shapes[i][j][2] else f"c{i}_{j}"
            for j, name in enumerate(OPERATIONS[self.layout.letters[i]].coefficients)
        }

    def test(self, k: dict[str, str], draw: int) -> None:
        self.write("backward = zero")
        self.each_component(
            f"d = (old_x[{{c}}] - x[{{c}}]) + {k['mobility']} * g[{{c}}]",
            "backward = backward + d * d",
        )
        # inverse_kT, then drag / (4 kT h): neither has a value per component
        self.write(
            f"ratio = -((energy - old_energy) * {k['inverse_kT']}) - {k['quarter_drag_over_kTh']} * "
            "(backward - forward)",
            f"number = u64(step) * u64({self.layout.uniforms_per_step}) + u64({draw})",
        )
        self.write(*self.pick("test_block", "w", "uniforms", "test_high", "uniform"))
        # Both comparisons are false for NaN; an energy of -inf makes the ratio +inf.
        with self.block("if log(uniform) < ratio and ratio < infinity:"):
            self.write("n_accepted += 1")
        with self.block("else:"):
            self.write("energy = old_energy")
            self.each_component("x[{c}], g[{c}] = old_x[{c}], old_g[{c}]")

    def sum_of_zeros(self, state: tuple[str, ...]) -> None:
        """`bad` is 0, or NaN if the state is not finite."""
        self.write("bad = zero")
        self.each_component(*(f"bad += {s}[{{c}}] * zero" for s in state))

    def check(self, state: tuple[str, ...]) -> None:
        """Go back to the state before this step, and stay there, if the step was a bad one."""
        self.sum_of_zeros(state)
        with self.block("if bad != zero:"):
            self.write("frozen = True", "diverged[i] = step + 1")
            self.each_component(*(f"{s}[{{c}}] = last_{s}[{{c}}]" for s in state))
        with self.block("else:"):
            self.keep(state)

    def keep(self, state: tuple[str, ...]) -> None:
        """The state is the one to go back to."""
        self.each_component(*(f"last_{s}[{{c}}] = {s}[{{c}}]" for s in state))

    def epilogue(self, state: tuple[str, ...]) -> None:
        self.each_component(*(f"{s}_out[i, {{c}}] = {s}[{{c}}]" for s in state))
        if self.layout.metropolised:
            self.write("accepted[i] += n_accepted")
        self.sum_of_zeros(state)
        with self.block("if bad != zero and diverged[i] < 0:"):
            self.write("not_finite[0] = 1")

    # --- observers: the same arithmetic as in cpp/kernels/observing.hpp

    def begin_looks(self) -> None:
        """How often each observer has looked, after which step it does so next; who was stopped before."""
        observations = self.layout.observations
        for j, o in enumerate(observations):
            self.write(
                f"values{j} = cuda.local.array({max(len(o.reads), 1)}, double)",  # there are no empty ones
                f"index{j} = max((step - plan[{j}, 0]) // plan[{j}, 1] + 1, 0)",
                f"due{j} = plan[{j}, 0] + index{j} * plan[{j}, 1]",
            )
            if o.stops:
                self.write(f"frozen = frozen or {self.mark(j, 0)} >= 0")
        if any(read.arguments == "z" for o in observations for read in o.reads):
            self.write(f"z = cuda.local.array({2 * self.layout.dim + 1}, real)")
        self.find_next_look()

    def find_next_look(self) -> None:
        self.write("next_look = due0")
        self.write(*(f"next_look = min(next_look, due{j})" for j in range(1, len(self.layout.observations))))

    def mark(self, j: int, row: int) -> str:
        """A mark of the particle, of observer j."""
        return f"marks[plan[{j}, 5] + {row}, i]"

    def look(self, state: tuple[str, ...]) -> None:
        """Show the state to the observers that look after this step; then those that move particles do."""
        observations = self.layout.observations
        moving = " and not frozen" if self.layout.checked else ""
        with self.block(f"if step == next_look{moving}:"):
            self.evaluate()
            for j, o in enumerate(observations):
                with self.block(f"if step == due{j}:"):
                    for s, read in enumerate(o.reads):
                        self.read(f"values{j}[{s}]", read, f"f{j}_{s}")
                    parts = [f"{name}[plan[{j}, {at}] :]" for at, name in ((2, "sizes"), (3, "numbers"))]
                    parts += [f"{name}[plan[{j}, {at}] :, i]" for at, name in ((4, "reals"), (5, "marks"))]
                    self.write(
                        f"{o.reduction}(index{j}, step, values{j}, {', '.join(parts)}, counts[plan[{j}, 6] :], i)",
                        f"index{j} += 1",
                        f"due{j} += plan[{j}, 1]",
                    )
            for j, o in enumerate(observations):
                if o.stops:
                    self.write(f"frozen = frozen or {self.mark(j, 0)} == step")
            for j, o in enumerate(observations):
                if o.restarts:
                    with self.block(f"if {self.mark(j, 1)} == step and not frozen:"):
                        self.each_component(*(f"{s}[{{c}}] = restart{j}_{s}[i, {{c}}]" for s in state))
                        self.keep(state)
                        if self.gradient_is_current:
                            self.compute_gradient()
            self.find_next_look()

    def evaluate(self) -> None:
        """U and the gradient, where those that look now read them and the steps do not keep them."""
        if not self.gradient_is_current:
            self.if_read(lambda read: read.reads_gradient, "gradient(x, g, p)")
        if not self.layout.metropolised and self.layout.observes_energy:
            self.write("energy = zero")
            self.if_read(lambda read: read.reads_energy, "energy = real(energy_of(x, p))")

    def if_read(self, wanted: Callable[[Read], bool], line: str) -> None:
        due = [f"step == due{j}" for j, o in enumerate(self.layout.observations) if any(map(wanted, o.reads))]
        if due:
            with self.block(f"if {' or '.join(due)}:"):
                self.write(line)

    def read(self, to: str, read: Read, function: str) -> None:
        """What an observer reads goes to one of its values."""
        simple = {"position": "x", "unwrapped": "x", "velocity": "v"}
        if read.quantity in simple:
            self.write(f"{to} = {simple[read.quantity]}[{read.component}]")
        elif read.quantity == "energy":
            self.write(f"{to} = energy")
        elif read.quantity == "interval":
            at, end = f"x[{read.component}]", f"weights[{read.weight}, 0, {{}}]"
            self.write(f"{to} = one if {at} > {end.format(0)} and {at} < {end.format(1)} else zero")
        elif read.quantity == "function":
            if read.arguments == "z":
                v = "v[{c}]" if self.layout.has_velocities else "zero"
                self.each_component("z[{c}] = x[{c}]", f"z[dim + {{c}}] = {v}")
                self.write(f"z[{2 * self.layout.dim}] = {'energy' if read.reads_energy else 'zero'}")
            self.write(f"{to} = real({function}({read.arguments}, p))")
        else:
            per_particle, per_component = self.layout.weights
            weight = f"weights[{read.weight}, {'i' if per_particle else 0}, {'{c}' if per_component else 0}]"
            kick = self.coefficients(len(self.layout.letters) - 1).get("time_over_mass")
            term = {
                "kinetic": [f"total = total + {weight} * v[{{c}}] * v[{{c}}]"],
                "half_step_kinetic": [
                    f"half = v[{{c}}] + {kick} * g[{{c}}]",
                    f"total = total + {weight} * half * half",
                ],
                "virial": [f"total = total + (x[{{c}}] - {weight}) * g[{{c}}]"],
            }[read.quantity]
            self.write("total = zero")
            self.each_component(*term)
            self.write(f"{to} = total")
