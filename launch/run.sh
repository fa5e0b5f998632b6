#!/usr/bin/env bash
# Trains, and starts again where that helps: bash launch/run.sh FLAGS of cvq.main
# Every machine of a run starts it; sweep.sh, slurm.sh and tpu.sh do so.
#
# Codes of cvq.main after which the same command goes on from the last checkpoint:
#   143  it was told to stop (preemption) and has saved
#   134  JAX ended it because another process of the run died
# A signal to this script is passed on and ends it: nothing starts again then.
#
#   CVQ_RESTARTS   how often at most (default 100)
#   CVQ_PAUSE      seconds before another start (default 10)
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=launch/setup.sh
source "$here/setup.sh"
set_up || exit
cd "$repository" || exit

restarts="${CVQ_RESTARTS:-100}" pause="${CVQ_PAUSE:-10}" child='' told=''

pass_on() {
  told="$1"
  if [[ -n "$child" ]]; then
    kill -s "$1" "$child" 2> /dev/null
  fi
}
trap 'pass_on TERM' TERM
trap 'pass_on INT' INT

for ((start = 0; ; start++)); do
  python -m cvq.main "$@" &
  child=$!
  wait "$child"
  code=$?
  while kill -0 "$child" 2> /dev/null; do        # a signal ends wait before the child
    wait "$child"
    code=$?
  done
  child=''
  if [[ -n "$told" || ($code -ne 143 && $code -ne 134) ]]; then
    exit "$code"
  elif ((start >= restarts)); then
    echo "cvq: ended with code $code after $restarts restarts (CVQ_RESTARTS)." >&2
    exit "$code"
  fi
  echo "cvq: ended with code $code; starting again in $pause s." >&2
  sleep "$pause" &
  wait $!
  [[ -z "$told" ]] || exit "$code"
done
