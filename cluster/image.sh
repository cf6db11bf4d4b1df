#!/usr/bin/env bash
# image.sh [PIP OPTION...] fills an image: the one step that Dockerfile and apptainer.def share. Any base with
# Debian's packages and Python 3.11 or newer will do; without apt the base must bring wget and Python's venv.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=/opt/venv

if command -v apt-get >/dev/null; then
  missing=()
  command -v wget >/dev/null || missing+=(wget)  # KubeRay's health probes call it
  python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
    rm -rf /var/lib/apt/lists/*
  fi
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "learner_ray: constraints.txt needs Python 3.11 or newer, the base has $(python3 --version)" >&2
  exit 1
}
python3 -m venv $venv
$venv/bin/pip install --no-cache-dir --constraint constraints.txt "$@" .
# A login shell, which KubeRay may start, sets PATH anew.
echo "PATH=$venv/bin:\$PATH" >/etc/profile.d/learner_ray.sh
