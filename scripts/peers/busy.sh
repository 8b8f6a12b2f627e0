#!/usr/bin/env bash
# What other work on the machine costs a training step; busy.py says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=.venv-test/bin/python
[[ -x $python ]] || python=python3
exec "$python" scripts/peers/busy.py "$@"
