#!/usr/bin/env bash
# Trains over seeds and values of fields, on this machine:
#   bash launch/sweep.sh [--name=NAME] [--seeds=0-4] [--vary=FIELD=a,b]... [--jobs=K]
#                        [--memory=GB] [--dry-run] -- FLAGS of cvq.main
# for example: bash launch/sweep.sh --seeds=0-2 --vary=train.batch_size=16,32 -- \
#   --config=configs/dsprites.py:smoke
#
#   --name     the work directories are runs/NAME/... (default sweep)
#   --jobs     runs at a time (default 1); fewer where the free memory is less than
#   --memory   GB for each of them (default 3)
# The same command again goes on where it stopped; what is finished is only evaluated again. The exit
# code is not 0 if a run failed; the others are not held up by it.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=launch/common.sh
source "$here/common.sh"
# shellcheck source=launch/setup.sh
source "$here/setup.sh"

name=sweep seeds=0 jobs=1 memory=3 varied=()
while (($#)); do
  case "$1" in
    --name=*) name="$(value_of "$1")" ;;
    --seeds=*) seeds="$(value_of "$1")" ;;
    --vary=*) varied+=("$(value_of "$1")") ;;
    --jobs=*) jobs="$(value_of "$1")" ;;
    --memory=*) memory="$(value_of "$1")" ;;
    --dry-run) dry_run=1 ;;
    --) break ;;
    *) fail "unknown flag '$1'; flags of cvq.main stand behind --." ;;
  esac
  shift
done
(($# > 1)) || fail "flags of cvq.main are missing: -- --config=configs/dsprites.py"
shift
check_count --jobs "$jobs"
check_count --memory "$memory"

runs="$(sweep_lines "runs/$name" "$seeds" ${varied[@]+"${varied[@]}"} -- "$@")"
if [[ -r /proc/meminfo ]]; then
  room=$(($(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) / (memory * 1024 * 1024)))
  if ((room < jobs)); then
    jobs=$((room > 1 ? room : 1))
    echo "cvq: $jobs at a time: the free memory is not enough for more of $memory GB." >&2
  fi
fi
if [[ -n "$dry_run" ]]; then
  while read -r line; do
    echo "bash $here/run.sh $line"
  done <<< "$runs"
  exit
fi
set_up                                     # once, before several runs would at a time
# shellcheck disable=SC2016
tr '\n' '\0' <<< "$runs" | xargs -0 -n 1 -P "$jobs" bash -c 'eval "bash \"$0\" $1"' "$here/run.sh"
