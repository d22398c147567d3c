"""A process per peer; each row is checked and then timed in turn."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .common import Task
from .environments import HERE, OURS, PEERS, InstallationError, Peer, python_of
from .references import Reference, exact, references
from .works import WORKS, Work, task

SIGMAS = 5.0  # what a moment may be off, in standard errors; several thousand moments are looked at


class Effort(NamedTuple):
    """How long is measured: the least of `rounds` runs of about `duration` seconds."""

    rounds: int
    duration: float


class WorkerError(Exception):
    """The worker did not answer, and its process is over."""


class Worker:
    """A process that speaks the protocol of common.py."""

    def __init__(self, peer: Peer, python: str, precision: str, threads: int, cache: Path) -> None:
        environment = dict(os.environ)
        for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "OPENMM_CPU"):
            environment[f"{name}_{'' if name == 'OPENMM_CPU' else 'NUM_'}THREADS"] = str(threads)
        environment |= {
            "LANGEVIN_PEERS_THREADS": str(threads),
            "JAX_PLATFORMS": "cpu",
            "JAX_ENABLE_X64": "1" if precision == "double" else "0",
            "PYTHONWARNINGS": "ignore",
        }
        if threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        if peer.environment is None:
            environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        else:
            environment.pop("PYTHONPATH", None)
        self._errors = (cache / f"{peer.file}.log").open("w")
        self._process = subprocess.Popen(
            [python, str(HERE / f"peer_{peer.file}.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=cache,
        )

    def ask(self, op: str, timeout: float = 300.0, **more: Any) -> dict[str, Any]:
        """The answer, or WorkerError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(timeout, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps({"op": op, **more}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        finally:
            late = not timer.is_alive()
            timer.cancel()
        if not line:
            self.close()
            raise WorkerError(f"no answer to {op} within {timeout:g} s" if late else self._last_words(op))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self, op: str) -> str:
        lines = [line for line in Path(self._errors.name).read_text(errors="replace").splitlines() if line.strip()]
        return (lines[-1] if lines else f"the process ended at {op}")[:160]

    def close(self) -> None:
        """End the process."""
        self._errors.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:
                pass


class Entry:
    """One peer at one row: a worker that is ready, or the reason why there is none."""

    def __init__(self, name: str, work: str, precision: str, threads: int) -> None:
        self.result: dict[str, Any] = {"row": work, "peer": name, "precision": precision, "threads": threads}
        self.result["status"] = "missing"
        self.size = 0  # steps, or short runs, of a timed call
        self.best = math.inf

    def fail(self, reason: str, status: str = "missing") -> None:
        """Take it out of the row."""
        self.result |= {"status": status, "reason": reason}

    @property
    def alive(self) -> bool:
        return self.result["status"] == "ok"


class Suite:
    """All rows of one precision and number of threads, with the workers of all peers."""

    def __init__(self, peers: list[str], precision: str, threads: int, effort: Effort, root: Path) -> None:
        self.peers, self.precision, self.threads, self.effort, self.root = peers, precision, threads, effort, root
        self.versions: dict[str, Any] = {}
        self._workers: dict[str, Worker] = {}
        self._missing: dict[str, str] = {}
        self._laws: dict[tuple, list[Reference]] = {}

    def _worker(self, name: str) -> Worker:
        if name in self._missing:
            raise WorkerError(self._missing[name])
        if name not in self._workers:
            peer = PEERS[name]
            try:
                python = python_of(peer, self.root)
                worker = Worker(peer, python, self.precision, self.threads, self.root)
                self.versions[name] = worker.ask("hello")
            except (InstallationError, WorkerError) as reason:
                self._missing[name] = str(reason)
                raise WorkerError(str(reason)) from None
            self._workers[name] = worker
        return self._workers[name]

    def _ask(self, entry: Entry, op: str, **more: Any) -> dict[str, Any]:
        """An answer; {} when there is none, and then the entry is out."""
        name = entry.result["peer"]
        try:
            answer = self._worker(name).ask(op, **more)
        except WorkerError as reason:
            self._workers.pop(name, None)
            entry.fail(str(reason))
            return {}
        if "missing" in answer:
            entry.fail(answer["missing"])
            return {}
        return answer

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            worker.close()

    # --- a row --------------------------------------------------------------------------------------------------------

    def row(self, name: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
        """Check and time a row in every peer."""
        work = WORKS[name]
        laws = self._references(name, work)
        entries = []
        for peer in self.peers:
            entry = Entry(peer, name, self.precision, self.threads)
            entries.append(entry)
            at = task(name, self.precision, self.threads, PEERS[peer].variant, str(self.root))
            start = time.perf_counter()
            if self._ask(entry, "prepare", task=at._asdict()):
                entry.result["status"] = "ok"
                self._check(entry, work, laws)
            if entry.alive:
                self._calibrate(entry, work)
            if entry.alive:
                self._check_timed(entry, work, at)
            seconds = time.perf_counter() - start
            say(f"  {peer:18} {entry.result['status']:8} {entry.result.get('reason', '')} ({seconds:.1f} s)")
        for _ in range(self.effort.rounds):
            for entry in entries:
                if entry.alive:
                    if self.threads > 1:
                        time.sleep(0.2)  # the threads of the one before may still spin
                    entry.best = min(entry.best, self._seconds(entry, work, entry.size))
        for entry in entries:
            if entry.alive:
                entry.result |= {"value": _value(work, entry), "calls": self.effort.rounds, "size": entry.size}
        ours = next((e.result["value"] for e in entries if e.result["peer"] == OURS and e.alive), None)
        for entry in entries:
            if entry.alive and ours:
                entry.result["ratio"] = entry.result["value"] / ours
        return [entry.result for entry in entries]

    def _references(self, name: str, work: Work) -> list[Reference]:
        key = (work.scheme, work.potential, work.checkpoints, work.observables)
        if key not in self._laws:
            at = task(name, "double", 1)
            self._laws[key] = references(at, list(work.checkpoints), list(work.observables), work.reference)
        return self._laws[key]

    def _check(self, entry: Entry, work: Work, laws: list[Reference]) -> None:
        answer = self._moments(entry, work, list(work.checkpoints), math.ceil(work.samples / work.n))
        if answer:
            self._compare(entry, list(work.checkpoints), answer["moments"], work, laws)

    def _check_timed(self, entry: Entry, work: Work, at: Task) -> None:
        """A call of the size that is timed must end in the law after so many steps, where that is known."""
        law = None if work.fresh or work.n < 100 else exact(at, entry.size)
        if law is not None and (answer := self._moments(entry, work, [entry.size], 1)):
            self._compare(entry, [entry.size], answer["moments"], work, [law])

    def _moments(self, entry: Entry, work: Work, checkpoints: list[int], repeats: int) -> dict[str, Any]:
        observables = list(work.observables)
        return self._ask(entry, "check", checkpoints=checkpoints, repeats=repeats, observables=observables)

    def _compare(
        self, entry: Entry, checkpoints: list[int], moments: list[Any], work: Work, laws: list[Reference]
    ) -> None:
        checks = entry.result.setdefault("checks", [])
        for n_steps, measured, law in zip(checkpoints, moments, laws, strict=True):
            for observable, (mean, error) in zip(work.observables, measured, strict=True):
                value, uncertainty = law.moments[observable]
                sigma = math.hypot(error, uncertainty)
                z = (mean - value) / sigma if sigma > 0.0 else math.inf
                checks.append(
                    {"steps": n_steps, "of": observable, "mean": mean, "reference": value, "sigma": sigma, "z": z}
                )
                checks[-1]["source"] = law.source
                if not abs(z) <= SIGMAS:  # NaN is wrong too
                    entry.fail(
                        f"{observable} after {n_steps} steps is {mean:.5g}, not {value:.5g} ± {sigma:.2g}", "wrong"
                    )

    def _seconds(self, entry: Entry, work: Work, size: int) -> float:
        if work.fresh:
            answer = self._ask(entry, "fresh", n_steps=work.checkpoints[0], times=size)
        else:
            answer = self._ask(entry, "run", n_steps=size)
        return answer.get("seconds", math.inf)

    def _calibrate(self, entry: Entry, work: Work) -> None:
        """Find how many steps take about the duration, in few tries: some peers compile each number anew."""
        size = 1 if work.fresh or work.potential == "logistic" else 4  # its steps are long
        for _ in range(5):
            self._seconds(entry, work, size)
            elapsed = self._seconds(entry, work, size)
            if not entry.alive or elapsed >= 0.5 * self.effort.duration:
                break
            size *= 2 ** max(1, min(10, round(math.log2(self.effort.duration / max(elapsed, 1e-7)))))
        entry.size = size


def _value(work: Work, entry: Entry) -> float:
    if work.fresh:
        return entry.best / entry.size * 1e6
    dim = len(task(work_name(work), "double", 1).start)
    return entry.best / (entry.size * work.n * dim) * 1e9


def work_name(work: Work) -> str:
    """The key of a row."""
    return next(name for name, other in WORKS.items() if other is work)
