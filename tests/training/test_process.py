"""A process that shares a GPU cannot take its neighbours' memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

GREEDY = """
import torch
from learner_ray.training.process import keep_to_share
keep_to_share(0.25)
total = torch.cuda.mem_get_info()[1]
kept = torch.empty(int(0.2 * total), dtype=torch.uint8, device="cuda")
try:
    torch.empty(int(0.1 * total), dtype=torch.uint8, device="cuda")
except torch.cuda.OutOfMemoryError:
    print("refused")
"""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_more_than_its_share_of_the_memory_is_refused() -> None:
    done = subprocess.run([sys.executable, "-c", GREEDY], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
