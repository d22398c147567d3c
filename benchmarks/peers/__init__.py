"""The same work in other libraries, each in a process and an environment of its own: ``python -m benchmarks.peers``."""

import sys
from pathlib import Path

# the workers are scripts of this folder and import `common`; the rows come from `workloads` beside it
for folder in (Path(__file__).resolve().parent, Path(__file__).resolve().parent.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
