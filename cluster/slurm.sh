#!/bin/bash
# Slurm: a Ray cluster inside one job, gone with it. On the login node, from the repository's root:
#
#   python3 -m venv .venv && .venv/bin/pip install --constraint constraints.txt .
#   sbatch --nodes=4 cluster/slurm.sh lus --data /project/lus --out /project/results/lus
#
# The arguments are the sweep's. Slurm's requeue, or the same command again, resumes.
#SBATCH --job-name=learner-ray
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=1
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=learner-ray-%j.log
set -euo pipefail
cd "$SLURM_SUBMIT_DIR"

if [ ! -x .venv/bin/ray ]; then
  echo "no .venv in $PWD: install the project first, the head of this file says how" >&2
  exit 2
fi
PATH="$PWD/.venv/bin:$PATH"

# A token of this job's own, so that no other user of these nodes can speak to it.
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_TOKEN_PATH="$HOME/.ray/token-$SLURM_JOB_ID"
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
(
  umask 077
  mkdir -p "$HOME/.ray"
  python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH"
)

# The port and the folder differ from job to job: /tmp/ray may be another user's.
head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export RAY_ADDRESS_OF_HEAD="$head_node:$((20000 + SLURM_JOB_ID % 10000))"
export RAY_TMPDIR="/tmp/learner-ray-$SLURM_JOB_ID"
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
ulimit -n 65536 || ulimit -n "$(ulimit -H -n)"

# On every node; the sweep itself runs on the first, which also holds the `driver` resource and the dashboard.
# shellcheck disable=SC2016 # expanded on the node
srun --kill-on-bad-exit=1 bash -c '
  mkdir -p "$RAY_TMPDIR/ray"
  trap "rm -rf \"$RAY_TMPDIR\"" EXIT
  if [ "$SLURM_NODEID" = 0 ]; then
    set -- --dashboard-host=127.0.0.1 --resources="{\"driver\": 100}" "$@"
  fi
  ray symmetric-run --address "$RAY_ADDRESS_OF_HEAD" --min-nodes "$SLURM_JOB_NUM_NODES" "$@"
' node -- python -m learner_ray.sweep "$@"
