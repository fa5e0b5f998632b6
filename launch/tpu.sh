#!/usr/bin/env bash
# Trains on a Cloud TPU, one host or a slice of many: bash launch/tpu.sh COMMAND NAME [FLAGS]
#
#   create NAME   makes the TPU VM NAME. The same command again goes on with one half made; what its
#                 own failed creation left is deleted, what it found there never.
#   setup NAME    copies this repository there (not runs/ or .venv) and makes the environment
#   run NAME -- FLAGS of cvq.main       starts training on all hosts, and returns
#   sweep NAME [--seeds=0-4] [--vary=FIELD=a,b]... -- FLAGS of cvq.main     one run after the other,
#                 on a TPU of one host
#   watch NAME -- FLAGS of cvq.main     shows the log until the run ends; a TPU that was preempted is
#                 deleted and made again, set up, and the run goes on; for `run` only, not a sweep
#   stop NAME     the run saves and ends; the TPU stays, and costs
#   delete NAME   deletes the TPU VM and its queued resource
#
#   --zone=ZONE          or CVQ_ZONE
#   --type=TYPE          or CVQ_TPU_TYPE: v5litepod-8, v5p-64, ... (create, watch)
#   --version=VERSION    or CVQ_TPU_VERSION: of the runtime; default by the type (create, watch)
#   --project=PROJECT    or CVQ_PROJECT; default: that of gcloud
#   --spot               cheaper, may be preempted (create, watch)
#   --queued             by a queued resource: waits until there is one (create, watch)
#   --shared=IP:/SHARE   or CVQ_SHARED: NFS (Filestore), mounted on every host as ~/shared. A slice of
#                        several hosts needs it, with --workdir=../shared/...; elsewhere it keeps
#                        the run when the TPU is gone (setup, watch)
#   --poll=SECONDS       between looks (default 30)
#   --dry-run            prints every command, and runs none
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=launch/common.sh
source "$here/common.sh"
repository="$(dirname "$here")"

command="${1:-}" name="${2:-}"
case "$command" in
  create | setup | run | sweep | watch | stop | delete) ;;
  *) fail "'$command' is no command; choose create, setup, run, sweep, watch, stop or delete." ;;
esac
[[ "$name" =~ ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$ ]] ||
  fail "the name '$name' is missing or not one that Google takes (a-z, 0-9, -): bash launch/tpu.sh $command NAME"
shift 2

zone="${CVQ_ZONE:-}" type="${CVQ_TPU_TYPE:-}" version="${CVQ_TPU_VERSION:-}"
project="${CVQ_PROJECT:-}" shared="${CVQ_SHARED:-}" spot='' queued='' poll=30 seeds='' varied=()
while (($#)); do
  case "$1" in
    --zone=*) zone="$(value_of "$1")" ;;
    --type=*) type="$(value_of "$1")" ;;
    --version=*) version="$(value_of "$1")" ;;
    --project=*) project="$(value_of "$1")" ;;
    --shared=*) shared="$(value_of "$1")" ;;
    --poll=*) poll="$(value_of "$1")" ;;
    --seeds=*) seeds="$(value_of "$1")" ;;
    --vary=*) varied+=("--vary=$(value_of "$1")") ;;
    --spot) spot=1 ;;
    --queued) queued=1 ;;
    --dry-run) dry_run=1 ;;
    --) break ;;
    *) fail "unknown flag '$1'; flags of cvq.main stand behind --." ;;
  esac
  shift
done
(($# == 0)) || shift
arguments=("$@")
[[ -n "$zone" ]] || fail "the zone is missing: --zone=us-central1-a or CVQ_ZONE"
[[ "$poll" =~ ^[0-9]+$ ]] || fail "--poll is '$poll'; expected seconds."
[[ -z "$shared" || "$shared" =~ ^[A-Za-z0-9.-]+:/[A-Za-z0-9/_.-]+$ ]] ||
  fail "--shared is '$shared'; expected IP:/SHARE."
case "$command" in
  create | watch)
    [[ -n "$type" ]] || fail "the type is missing: --type=v5litepod-8 or CVQ_TPU_TYPE" ;;
esac
case "$command" in
  run | sweep | watch)
    ((${#arguments[@]})) || fail "flags of cvq.main are missing: -- --config=configs/dsprites.py" ;;
esac
if [[ -z "$version" ]]; then
  case "$type" in
    v5litepod-*) version=v2-alpha-tpuv5-lite ;;
    v5p-*) version=v2-alpha-tpuv5 ;;
    v6e-*) version=v2-alpha-tpuv6e ;;
    *) version=tpu-ubuntu2204-base ;;
  esac
fi
[[ -n "$dry_run" ]] || command -v gcloud > /dev/null ||
  fail "gcloud is not here: https://cloud.google.com/sdk/docs/install"

place=("--zone=$zone")
if [[ -n "$project" ]]; then
  place+=("--project=$project")
fi

# gcloud compute tpus NOUN VERB NAME with the place. $1: noun. $2: verb. Then words of the verb.
tpus() {
  local noun="$1" verb="$2"
  shift 2
  act gcloud compute tpus "$noun" "$verb" "$name" "${place[@]}" "$@"
}

# A command on every host. $1: the command.
on_hosts() {
  tpus tpu-vm ssh --worker=all --command="$1"
}

# The state of NAME: READY, PREEMPTED, ..., or nothing where there is none. Any other failure of
# gcloud ends the script: no permission must not pass for no TPU. $1: noun. $2: field of the state.
state_of() {
  local said
  if [[ -n "$dry_run" ]]; then
    tpus "$1" describe "--format=value($2)" >&2
  elif said="$(tpus "$1" describe "--format=value($2)" 2>&1)"; then
    tail -n 1 <<< "$said"
  elif [[ "$said" != *NOT_FOUND* && "$said" != *'not found'* ]]; then
    fail "gcloud failed: $(tail -n 1 <<< "$said")"
  fi
}

node_state() { state_of tpu-vm state; }
request_state() { state_of queued-resources state.state; }

delete() {
  local request node
  request="$(request_state)" || return
  if [[ -n "$request" || -n "$dry_run" ]]; then
    tpus queued-resources delete --quiet --force || return        # and its TPU VM with it
  fi
  node="$(node_state)" || return
  if [[ -n "$node" || -n "$dry_run" ]]; then
    tpus tpu-vm delete --quiet || return
  fi
  [[ -n "$request$node$dry_run" ]] || echo "cvq: there is no $name in $zone."
}

# Issues a creation. What there is of NAME after it is ours to delete ($made), also where it failed,
# unless the name was taken: then somebody else was faster. $1: noun. Then words of the creation.
made=''
make() {
  local noun="$1" said code=0
  shift
  said="$(tpus "$noun" create "$@" 2>&1)" || code=$?
  if ((code == 0)); then
    made=1
    echo "$said"
    return
  fi
  [[ "$said" == *ALREADY_EXISTS* || "$said" == *'already exists'* ]] || made=1
  echo "$said" >&2
  return "$code"
}

# After a creation that failed: nothing half made stays, and nothing that was there before goes.
give_up() {
  [[ -n "$made" ]] || fail "$name could not be made ($1). Another command began it, so nothing is \
deleted; to do so: bash launch/tpu.sh delete $name --zone=$zone"
  echo "cvq: $name could not be made ($1); deleting what there is of it." >&2
  delete || echo "cvq: look for what is left: bash launch/tpu.sh delete $name --zone=$zone" >&2
  exit 1
}

create() {
  local state request words=("--accelerator-type=$type")
  made=''
  if [[ -n "$spot" ]]; then
    words+=(--spot)
  fi
  state="$(node_state)"
  case "$state" in
    READY)
      echo "cvq: $name is there already."
      return ;;
    '' | CREATING | STARTING | RESTARTING) ;;
    *) fail "$name is there, in state $state; first: bash launch/tpu.sh delete $name --zone=$zone" ;;
  esac
  if [[ -n "$queued" && -z "$state" ]]; then
    request="$(request_state)"
    if [[ -z "$request" ]]; then
      make queued-resources "--node-id=$name" "${words[@]}" "--runtime-version=$version" ||
        give_up 'its request was refused'
    fi
    [[ -z "$dry_run" ]] || return 0
    while true; do
      request="$(request_state)"
      case "$request" in
        ACTIVE) break ;;
        FAILED | SUSPENDED | SUSPENDING) give_up "its request is $request" ;;
        '') fail "the request of $name is gone." ;;
      esac
      echo "cvq: $name is waiting ($request); to stop waiting, Ctrl-C: the same command goes on."
      sleep "$poll"
    done
  elif [[ -z "$state" ]]; then
    make tpu-vm "${words[@]}" "--version=$version" || give_up 'gcloud failed'
    return
  fi
  [[ -z "$dry_run" ]] || return 0
  while true; do
    state="$(node_state)"
    case "$state" in
      READY) break ;;
      CREATING | STARTING | RESTARTING) sleep "$poll" ;;
      *) give_up "its state is ${state:-gone}" ;;
    esac
  done
}

setup() {
  local archive mount=''
  archive="$(mktemp)"
  # shellcheck disable=SC2064
  trap "rm -f '$archive'" EXIT
  act bash -c "cd '$repository' && git ls-files -co --exclude-standard -z |
    tar --create --gzip --null --files-from=- --file='$archive'"
  act gcloud compute tpus tpu-vm scp "$archive" "$name:cvq.tar.gz" --worker=all "${place[@]}"
  if [[ -n "$shared" ]]; then
    mount="mkdir -p shared && (mountpoint -q shared || (sudo apt-get install -qy nfs-common &&
      sudo mount -t nfs '$shared' shared)) &&"
  fi
  # The images of TPU VMs come with a Python that is too old.
  on_hosts "$mount mkdir -p cvq && tar -xzf cvq.tar.gz -C cvq && (command -v python3.11 ||
    (sudo apt-get update -q && sudo apt-get install -qy python3.11-venv)) && cd cvq &&
    export CVQ_JAX=tpu CVQ_PYTHON=python3.11 && source launch/setup.sh && set_up"
}

# Starts a script of launch/ on all hosts, in the background. $1: script. Then its words.
start() {
  local script="$1" hosts auto=''
  shift
  hosts="$(tpus tpu-vm describe '--format=value(networkEndpoints[].ipAddress)')"
  if [[ -n "$dry_run" ]]; then
    echo "$hosts"
  elif [[ "$hosts" == *[\;,]* ]]; then
    auto='CVQ_PROCESSES=auto '
    # The work directories of a sweep lie on the disk of its host.
    [[ "$script" != sweep.sh ]] || fail "$name has several hosts, and a sweep needs a TPU of one; \
here start the runs one after the other: bash launch/tpu.sh run $name --zone=$zone -- FLAGS \
--config.seed=0 --workdir=../shared/runs/seed-0"
    [[ " $* " == *" --workdir="* ]] ||
      fail "$name has several hosts: give a --workdir that they share, see --shared."
  fi
  on_hosts "if [[ -e cvq.pid ]] && kill -0 \$(cat cvq.pid) 2> /dev/null; then
      echo 'cvq: a run goes on here; first: bash launch/tpu.sh stop $name' >&2; exit 1; fi
    cd cvq && export ${auto}CVQ_JAX=tpu CVQ_PYTHON=python3.11 && {
      setsid nohup bash launch/$script $(printf '%q ' "$@")>> ../cvq.log 2>&1 < /dev/null &
      echo \$! > ../cvq.pid; }"
}

run() { start run.sh "${arguments[@]}"; }

sweep() {
  start sweep.sh "--seeds=${seeds:-0}" ${varied[@]+"${varied[@]}"} -- "${arguments[@]}"
}

watch() {
  local state told shown=0
  while true; do
    state="$(node_state)"
    if [[ -z "$state" ]]; then                    # of a queued TPU only the request is left
      state="$(request_state)"
      [[ -n "$state$dry_run" ]] || fail "there is no $name in $zone; make it first."
    fi
    # A person stopped it, and may want what is on its disk.
    [[ "$state" != STOPPED ]] || fail "$name is STOPPED, so it is not made again; first: \
gcloud compute tpus tpu-vm start $name --zone=$zone; or, to lose what is on it: \
bash launch/tpu.sh delete $name --zone=$zone"
    if [[ -n "$dry_run" || "$state" =~ ^(PREEMPTED|TERMINATED|SUSPENDED|FAILED)$ ]]; then
      echo "cvq: $name is ${state:-gone}; making it again." >&2
      delete
      create
      setup
      run
      shown=0
      [[ -z "$dry_run" ]] || return 0
    elif [[ "$state" == READY ]]; then
      # New lines of the log of the first host, and whether its run still goes on.
      if told="$(tpus tpu-vm ssh --worker=0 --command="n=\$(wc -l < cvq.log); sed -n $((shown + 1)),\${n}p cvq.log
          kill -0 \$(cat cvq.pid) 2> /dev/null && echo cvq-goes-on || echo cvq-ended")"; then
        sed '$d' <<< "$told"
        shown=$((shown + $(wc -l <<< "$told") - 1))
        [[ "$told" != *cvq-ended ]] || return 0
      else
        echo "cvq: $name does not answer; looking again in $poll s." >&2
      fi
    fi
    sleep "$poll"
  done
}

stop() {
  # The group of it: a sweep has runs beneath it.
  on_hosts "[[ ! -e cvq.pid ]] || kill -TERM -- -\$(cat cvq.pid)"
}

"$command"
