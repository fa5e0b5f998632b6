#!/usr/bin/env bash
# Submits a run to Slurm, or a sweep as an array of runs:
#   bash launch/slurm.sh [FLAGS below] -- FLAGS of cvq.main
#
#   --name=NAME        of the job (default cvq)
#   --nodes=N          one process each, with all devices asked for (default 1)
#   --gpus=G           of each node (default 1; 0: none)
#   --cpus=C           of each node (default 8)
#   --time=HH:MM:SS    limit; a run that reaches it saves and is put into the queue again (24:00:00)
#   --partition=P      and other words for sbatch: --sbatch=--account=A, as often as needed
#   --seeds=0-4        an array: these seeds, with
#   --vary=FIELD=a,b   these values, as often as needed; work directories are runs/NAME/...
#   --at-once=K        of an array (default: all)
#   --dry-run          print the commands
# Needs a file system that all nodes share: repository, work directories and data lie there
# (CVQ_DATA_DIR). The environment is made here, before anything is submitted (CVQ_JAX=cpu|cuda13).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=launch/common.sh
source "$here/common.sh"
# shellcheck source=launch/setup.sh
source "$here/setup.sh"

name=cvq nodes=1 gpus=1 cpus=8 limit=24:00:00 seeds='' at_once='' varied=() words=()
while (($#)); do
  case "$1" in
    --name=*) name="$(value_of "$1")" ;;
    --nodes=*) nodes="$(value_of "$1")" ;;
    --gpus=*) gpus="$(value_of "$1")" ;;
    --cpus=*) cpus="$(value_of "$1")" ;;
    --time=*) limit="$(value_of "$1")" ;;
    --partition=*) words+=("$1") ;;
    --sbatch=*) words+=("$(value_of "$1")") ;;
    --seeds=*) seeds="$(value_of "$1")" ;;
    --vary=*) varied+=("$(value_of "$1")") ;;
    --at-once=*) at_once="$(value_of "$1")" ;;
    --dry-run) dry_run=1 ;;
    --) break ;;
    *) fail "unknown flag '$1'; flags of cvq.main stand behind --." ;;
  esac
  shift
done
(($# > 1)) || fail "flags of cvq.main are missing: -- --config=configs/dsprites.py"
shift
check_count --nodes "$nodes"
check_count --cpus "$cpus"
[[ "$gpus" == 0 ]] || check_count --gpus "$gpus"
[[ -z "$at_once" ]] || check_count --at-once "$at_once"
[[ "$limit" =~ ^([0-9]+-)?[0-9]+(:[0-9]+)*$ ]] || fail "--time is '$limit'; expected HH:MM:SS."
[[ -n "$dry_run" ]] || command -v sbatch > /dev/null ||
  fail "sbatch is not here; run this on a login node of the cluster."

logs="$repository/runs/$name"
options=("--job-name=$name" "--nodes=$nodes" --ntasks-per-node=1 "--cpus-per-task=$cpus"
  "--time=$limit" --requeue --open-mode=append "--chdir=$repository"
  # 90 s before the limit the processes (not this script) are told, as they are in a preemption.
  --signal=TERM@90)
if ((gpus)); then
  options+=("--gpus-per-node=$gpus")
fi

if [[ -n "$seeds" ]]; then
  tasks="$(sweep_lines "runs/$name" "$seeds" ${varied[@]+"${varied[@]}"} -- "$@")"
else
  ((${#varied[@]} == 0)) || fail "--vary needs --seeds: for one seed, --seeds=0"
fi

export CVQ_JAX="${CVQ_JAX:-$( ((gpus)) && echo cuda13 || echo cpu)}"
act mkdir -p "$logs"
act set_up
if [[ -z "$seeds" ]]; then
  act sbatch "${options[@]}" "--output=$logs/slurm-%j.log" ${words[@]+"${words[@]}"} \
    "$here/slurm_job.sh" "$@"
  exit
fi

list="$logs/sweep.txt"
if [[ -n "$dry_run" ]]; then
  printf '# %s:\n%s\n' "$list" "$tasks"
elif [[ -e "$list" && "$(< "$list")" != "$tasks" ]]; then
  fail "$list holds another sweep; choose another --name, or move it away."
else
  echo "$tasks" > "$list"
fi
act sbatch "${options[@]}" "--array=1-$(wc -l <<< "$tasks")${at_once:+%$at_once}" \
  "--output=$logs/slurm-%A-%a.log" ${words[@]+"${words[@]}"} "$here/slurm_job.sh" "--sweep-list=$list"
