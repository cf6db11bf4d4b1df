"""A sweep in which every call of GPU 0 raises: ``python -m tests.engine.broken_gpu STUDY ...``."""

from __future__ import annotations

import sys
import time
from typing import Any

import ray

from learner_ray.run.folder import RunFolder
from tests.formula_runs import HELD_AT_MOST_S, FormulaRun, FormulaTrainable, use_formula_runs


class OnGpuRun(FormulaRun):
    def advance(self) -> dict[str, Any] | None:
        runs = self.folder.path.parent
        if ray.get_gpu_ids() == [0]:
            (runs / f".broken-{self.folder.path.name}").touch()
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        # A run that ends sooner than a process starts would take every run from the broken GPU's next one.
        until = time.monotonic() + HELD_AT_MOST_S
        while len(list(runs.glob(".broken-*"))) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        return super().advance()


class OnGpuTrainable(FormulaTrainable):
    def open(self, folder: RunFolder) -> FormulaRun:
        return OnGpuRun(folder)


if __name__ == "__main__":
    from learner_ray.sweep import main
    from tests.engine import broken_gpu  # by its name: of __main__ another process knows nothing

    use_formula_runs(broken_gpu.OnGpuTrainable)
    sys.exit(main())
