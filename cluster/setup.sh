#!/usr/bin/env bash
# setup.sh [aws|gcp] runs on every node: installs the project under its pinned versions, with what the launcher
# needs to talk to its cloud, and makes every later shell find it.
set -euo pipefail
cd "$(dirname "$0")/.."

for python in python3 python3.13 python3.12 python3.11 none; do
  if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then break; fi
done
if [ "$python" = none ]; then
  echo "learner_ray needs Python 3.11, 3.12 or 3.13, and this node has $(python3 --version)" >&2
  exit 1
fi
# Ray writes the token readable for all, and rsync keeps the modes it finds.
chmod 700 ~/.ray
chmod 600 ~/.ray/auth_token

"$python" -m venv .venv
.venv/bin/pip install --quiet --constraint constraints.txt ".${1:+[$1]}"

# First, not last: a stock .bashrc returns early in shells that are not interactive.
line="source $PWD/cluster/env.sh"
touch ~/.bashrc
if ! grep -qxF "$line" ~/.bashrc; then
  { echo "$line"; cat ~/.bashrc; } >~/.bashrc.new
  mv ~/.bashrc.new ~/.bashrc
fi
