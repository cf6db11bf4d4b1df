"""A sweep in which every run of one arm takes all memory: ``python -m tests.engine.greedy STUDY ...``."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from learner_ray.run.folder import RunFolder
from tests.formula_runs import FormulaRun, FormulaTrainable, use_formula_runs


class GreedyRun(FormulaRun):
    def advance(self) -> dict[str, Any] | None:
        kept = []
        while self.spec.config.loss.name == "contrastive":
            kept.append(np.ones(2**25))
        return super().advance()


class GreedyTrainable(FormulaTrainable):
    def open(self, folder: RunFolder) -> FormulaRun:
        return GreedyRun(folder)


if __name__ == "__main__":
    from learner_ray.sweep import main
    from tests.engine import greedy  # by its name: of __main__ another process knows nothing

    use_formula_runs(greedy.GreedyTrainable)
    sys.exit(main())
