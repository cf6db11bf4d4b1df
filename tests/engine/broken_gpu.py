"""A sweep in which every call of GPU 0 raises: ``python -m tests.engine.broken_gpu STUDY ...``."""

from __future__ import annotations

import sys
import time
from typing import Any

import ray

from learner_ray.run.folder import RunFolder
from tests.formula_runs import FormulaRun, FormulaTrainable, use_formula_runs


class OnGpuRun(FormulaRun):
    def advance(self) -> dict[str, Any] | None:
        if ray.get_gpu_ids() == [0]:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        time.sleep(0.3)  # else one GPU would do all before the other is asked again
        return super().advance()


class OnGpuTrainable(FormulaTrainable):
    def open(self, folder: RunFolder) -> FormulaRun:
        return OnGpuRun(folder)


if __name__ == "__main__":
    from learner_ray.sweep import main
    from tests.engine import broken_gpu  # by its name: of __main__ another process knows nothing

    use_formula_runs(broken_gpu.OnGpuTrainable)
    sys.exit(main())
