#!/usr/bin/env bash
# Runs the tests: bash launch/test.sh [FLAGS of pytest], for example -m "not slow"
# Sets up the environment first; see launch/setup.sh.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=launch/setup.sh
source "$here/setup.sh"
set_up test
cd "$repository"
# A process a core, few of them: each compiles models of its own and takes about 1.5 GB.
exec python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
