#!/bin/bash
# Slurm: a Ray cluster inside one job, gone with it. On the login node, from the repository's root:
#
#   python3 -m venv .venv && .venv/bin/pip install --constraint constraints.txt .
#   sbatch --nodes=4 cluster/slurm.sh lus --data /project/lus --out /project/results/lus
#
# sbatch's options stand before this file's name (--account, --partition, --time, --gpus-per-node ...), the sweep's
# after it. The same line resumes; cluster/README.md, "Slurm", says what is requeued by itself.
#SBATCH --job-name=learner-ray
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=learner-ray-%j.log
cd "$SLURM_SUBMIT_DIR" || exit 1

# The environment: a shell file of one's own (module load, conda activate), or .venv, or what was active at sbatch.
if [ -n "${LEARNER_RAY_ENV:-}" ]; then
  # shellcheck disable=SC1090 # the user's own
  source "$LEARNER_RAY_ENV" || exit 2
elif [ -x .venv/bin/python ]; then
  PATH="$PWD/.venv/bin:$PATH"
fi
if ! python -c 'import ray' 2>/dev/null; then
  echo "no environment with the project: make .venv in $PWD as the head of this file says, activate one" >&2
  echo "before sbatch, or name a shell file that does in LEARNER_RAY_ENV" >&2
  exit 2
fi

# In this shell's place, so that what Slurm signals is the job itself.
exec python -m cluster.slurm_job "$@"
