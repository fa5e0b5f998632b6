#!/usr/bin/env bash
# Trains on this machine: bash launch/local.sh --config=configs/dsprites.py [FLAGS of cvq.main]
# Sets up the environment first; see launch/setup.sh.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=launch/setup.sh
source "$here/setup.sh"
set_up
cd "$repository"
export CVQ_COMMAND="bash launch/local.sh"      # what it calls itself where it says what to do next
exec python -m cvq.main "$@"
