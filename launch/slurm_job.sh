#!/usr/bin/env bash
# What Slurm runs on the first node of a job; launch/slurm.sh submits it. $@: flags of cvq.main, or
# --sweep-list=FILE, of which the array's task takes its line.
#
#   CVQ_REQUEUES   how often it is put into the queue again at most (default 100)
set -uo pipefail
if [[ "${1:-}" == --sweep-list=* ]]; then
  line="$(sed -n "${SLURM_ARRAY_TASK_ID}p" "${1#*=}")"
  if [[ -z "$line" ]]; then
    echo "cvq: ${1#*=} has no line $SLURM_ARRAY_TASK_ID." >&2
    exit 2
  fi
  eval "set -- $line"
fi

# All nodes of a job number find the same port, two jobs on a node different ones.
first="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
export CVQ_COORDINATOR="$first:$((20000 + SLURM_JOB_ID % 20000))"
# A restart within the job would meet others that are still waiting: the whole job is queued again.
export CVQ_RESTARTS=0

# srun does not take the cores of a task from the job since Slurm 22.05.
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"

# The signal is for the processes; what Slurm sends to this script must not end it before them.
trap : TERM
# shellcheck disable=SC2016
srun --kill-on-bad-exit=0 bash -c \
  'CVQ_PROCESS="$SLURM_PROCID" CVQ_PROCESSES="$SLURM_NTASKS" exec bash launch/run.sh "$@"' cvq "$@" &
step=$!
wait "$step"
code=$?
while kill -0 "$step" 2> /dev/null; do           # a signal ends wait before srun
  wait "$step"
  code=$?
done

# A preempted job Slurm queues again itself, a cancelled one nobody should; one that came near its
# limit, or lost a process, still counts as running. Killed for memory (137) it would be again.
if [[ $code -eq 143 || $code -eq 134 ]] &&
  [[ "$(scontrol show job "$SLURM_JOB_ID")" == *JobState=RUNNING* ]]; then
  count="${SLURM_RESTART_COUNT:-0}"
  if ((count < ${CVQ_REQUEUES:-100})); then
    echo "cvq: ended with code $code; queued again." >&2
    scontrol requeue "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}"
  fi
fi
exit "$code"
