# shellcheck shell=bash
# What every shell on a node needs; setup.sh has ~/.bashrc read it.
export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
export PATH="$HOME/learner_ray/.venv/bin:$PATH"
# What is typed on a node begins in the folder that all nodes share: results there are seen by all.
if [[ $- == *i* && $PWD == "$HOME" && -d /shared ]]; then cd /shared || true; fi
