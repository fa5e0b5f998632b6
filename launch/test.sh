#!/usr/bin/env bash
# Runs the tests: bash launch/test.sh [FLAGS of pytest], for example -m "not slow"
# Sets up the environment first; see launch/setup.sh.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=launch/setup.sh
source "$here/setup.sh"
set_up test
cd "$repository"
exec python -m pytest "$@"
