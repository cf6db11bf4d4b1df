"""What of a sweep's command goes to a cluster, and what comes home; the way there is in tests/cluster."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ray.job_submission import JobStatus

from learner_ray.cli.options import for_cluster, sweep_parser
from learner_ray.core.errors import UserError
from learner_ray.engine import remote_sweep
from learner_ray.engine.launcher import RAY_COMMAND, tunnel
from learner_ray.engine.ray_private import JOB_CLIENT_LOGGER
from learner_ray.engine.remote_sweep import Submission, check_home, exit_code

OUT = Path("results/lus")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a cluster that was never brought up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    provider = {"type": "local", "head_ip": "192.0.2.1", "worker_ips": []}
    config = {"cluster_name": "none", "provider": provider, "auth": {"ssh_user": "ray"}}
    Path("none.yaml").write_text(yaml.safe_dump(config))
    return Path("none.yaml")


def submitted(*typed: str) -> Submission:
    args = sweep_parser("sweep").parse_args(typed)
    return Submission(
        cluster=args.cluster,
        arguments=tuple(for_cluster(typed)),
        out=OUT,
        study_file=args.study if args.study.endswith(".py") else None,
        models=args.with_models,
    )


def test_the_laptops_own_options_stay_there(file: Path) -> None:
    sent = submitted(
        "lus", "--cluster", str(file), "--data", "/shared/my data", "--with-models", "--seed", "1"
    )
    assert sent.arguments == ("lus", "--data", "/shared/my data", "--seed", "1") and sent.models
    assert sent.entrypoint.endswith("learner_ray.sweep lus --data '/shared/my data' --seed 1")


def test_a_price_of_the_cluster_file_is_no_part_of_the_command(file: Path) -> None:
    """With the price changed, the same command still finds its job."""
    sent = submitted("lus", "--cluster", str(file))
    priced = replace(sent, price_per_hour=0.4)
    assert priced.name == sent.name
    assert priced.entrypoint.endswith("learner_ray.sweep lus --price-per-hour 0.4")


def test_the_same_command_has_the_same_name_and_another_another(file: Path) -> None:
    here, again = submitted("lus", "--cluster", str(file)), submitted("--cluster", str(file), "lus")
    assert here.name == again.name != submitted("lus", "--seed", "1", "--cluster", str(file)).name


@pytest.mark.parametrize("typed", ["mine/knee.py", "./mine/knee.py", "/home/../home/knee.py", "knee.py"])
def test_a_study_file_goes_where_every_node_finds_it(file: Path, typed: str) -> None:
    sent = submitted(typed, "--cluster", str(file))
    assert sent.entrypoint.endswith("learner_ray.sweep results/studies/knee.py")
    line = sent.entrypoint.replace("exec python -m learner_ray.sweep", "exec cat")
    Path("home").mkdir()
    (Path("home") / sent.study_copy).write_text("STUDY")
    environment = {"HOME": str(Path("home").absolute()), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "STUDY"


def test_results_of_another_study_are_not_overwritten(file: Path) -> None:
    sent = submitted("lus", "--cluster", str(file))
    check_home(sent)
    OUT.mkdir(parents=True)
    (OUT / "study.json").write_text("{}")
    with pytest.raises(UserError, match="another study"):
        check_home(sent)
    (OUT / ".cluster").write_text("none:results/lus\n")
    check_home(sent)


@pytest.mark.slow
def test_the_launcher_is_found_by_the_name_of_its_command() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RAY_COMMAND, "exec", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "CLUSTER_CONFIG_FILE" in done.stdout, done.stderr


def test_following_a_sweep_leaves_the_process_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(submission: Submission) -> int:
        assert "RAY_ADDRESS" not in os.environ and os.environ["RAY_AUTH_MODE"] == "token"
        raise KeyboardInterrupt

    monkeypatch.setattr(remote_sweep, "attend", interrupted)
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    before = dict(os.environ), signal.getsignal(signal.SIGINT), logging.getLogger(JOB_CLIENT_LOGGER).level
    assert remote_sweep.run_on_cluster(file, ["lus"], out=OUT, stored_at=str(OUT)) == 130
    after = dict(os.environ), signal.getsignal(signal.SIGINT), logging.getLogger(JOB_CLIENT_LOGGER).level
    assert after == before


@pytest.mark.ray
def test_a_cluster_that_is_not_up_is_said_so(file: Path) -> None:
    with pytest.raises(UserError, match="ray up"), tunnel(file):
        pass


@pytest.mark.parametrize(
    ("status", "driver", "code", "said"),
    [
        (JobStatus.SUCCEEDED, 0, 0, []),
        (JobStatus.FAILED, 3, 3, []),
        (JobStatus.FAILED, 2, 2, ["sweep-lus-1: failed"]),
        (JobStatus.FAILED, None, 1, ["sweep-lus-1: failed"]),
        (JobStatus.STOPPED, None, 143, ["sweep-lus-1: stopped"]),
    ],
)
def test_a_job_s_exit_code_is_the_sweep_s(
    status: JobStatus, driver: int | None, code: int, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    details = SimpleNamespace(submission_id="sweep-lus-1", status=status, driver_exit_code=driver)
    assert exit_code(details) == code
    assert caplog.messages == said, "a study of which some runs failed is no crash"
