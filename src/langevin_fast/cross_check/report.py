"""What a cross-check found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BackendReport:
    """What was found about one backend.

    Attributes
    ----------
    name : str
        Of the backend.
    unavailable : str or None
        Why it did not run.
    first_difference : int or None
        The first step after which it differs from the first backend that ran.
    largest_ulp : float
        The largest such difference up to there and beyond, in units in the last place.
    step_error : float
        The largest deviation of a single step from the textbook's, in units in the last place of the step's terms.
    mean_square, mean_square_error : float
        The mean of x . x over particles after the longer run, and its standard error.
    moments_z : float
        The largest deviation, over components, of the means of x and x^2 from those of the first choice for the
        potential with another seed, in standard errors.
    """

    name: str
    unavailable: str | None = None
    first_difference: int | None = None
    largest_ulp: float = 0.0
    step_error: float = 0.0
    mean_square: float = float("nan")
    mean_square_error: float = float("nan")
    moments_z: float = float("nan")


@dataclass(frozen=True)
class CrossCheck:
    """The report of :func:`cross_check`; ``print`` it.

    Attributes
    ----------
    title : str
        What was run.
    backends : tuple of BackendReport
        One for each backend that the potential allows.
    problems : tuple of str
        Every disagreement, in words; empty if all agree.
    left_out : tuple of str
        What there was no time for, in words.
    """

    title: str
    backends: tuple[BackendReport, ...]
    problems: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.problems

    def __str__(self) -> str:
        lines = [
            self.title,
            "  backend  first difference  largest [ulp]  step error [ulp]  mean of x.x            moments [sigma]",
        ]
        for b in self.backends:
            if b.unavailable is not None:
                lines.append(f"  {b.name:7s}  unavailable: {b.unavailable}")
                continue
            first = "none" if b.first_difference is None else f"step {b.first_difference}"
            square = f"{b.mean_square:.5g} +- {b.mean_square_error:.2g}"
            lines.append(
                f"  {b.name:7s}  {first:16s}  {b.largest_ulp:13.3g}  {b.step_error:16.3g}  {square:21s}"
                f"  {b.moments_z:15.2f}"
            )
        lines += [f"  left out for time: {what}" for what in self.left_out]
        lines += [f"  PROBLEM: {problem}" for problem in self.problems] or ["  all agree"]
        return "\n".join(lines)
