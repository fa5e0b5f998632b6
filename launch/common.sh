# shellcheck shell=bash
# Sourced by the launchers: messages, commands that --dry-run prints, flags, and lines of a sweep.

dry_run=''

# Leaves with a message. $1: message.
fail() {
  echo "cvq: $1" >&2
  exit 2
}

# Runs a command; with --dry-run only prints it.
act() {
  if [[ -n "$dry_run" ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

# The value of a flag --NAME=VALUE, refused where it is empty. $1: the argument.
value_of() {
  [[ "$1" == *=?* ]] || fail "${1%%=*} needs a value: ${1%%=*}=VALUE"
  echo "${1#*=}"
}

# A count of at least one. $1: name of the flag. $2: value.
check_count() {
  [[ "$2" =~ ^[1-9][0-9]*$ ]] || fail "$1 is '$2'; expected a whole number from 1 on."
}

# The seeds of 0-4 or 0,3,7, one a line. $1: the value of --seeds.
list_seeds() {
  if [[ "$1" =~ ^([0-9]+)-([0-9]+)$ ]] && ((BASH_REMATCH[1] <= BASH_REMATCH[2])); then
    seq "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
  elif [[ "$1" =~ ^[0-9]+(,[0-9]+)*$ ]]; then
    tr ',' '\n' <<< "$1"
  else
    fail "--seeds is '$1'; expected 0-4 or 0,3,7."
  fi
}

# One line of flags for each run of a sweep: all seeds with all values of all fields.
#   $1: folder of the work directories. $2: seeds. Then FIELD=a,b,... of --vary, --, and flags that
#   all runs share.
sweep_lines() {
  local folder seeds lines=() next=() field value line varied=() shared
  folder="$(printf '%q' "$1")"
  seeds="$(list_seeds "$2")" || return
  shift 2
  while (($#)) && [[ "$1" != -- ]]; do
    varied+=("$1")
    shift
  done
  shift
  for value in "$@"; do
    [[ "$value" != --workdir* && "$value" != --config.seed=* ]] ||
      fail "${value%%=*} is set by the sweep; leave it out."
  done
  shared="$(printf '%q ' "$@")"
  while read -r value; do
    lines+=("seed-$value --config.seed=$value")
  done <<< "$seeds"
  for field in ${varied[@]+"${varied[@]}"}; do
    [[ "$field" =~ ^[a-z0-9_.]+=[^=,\ ()]+(,[^=,\ ()]+)*$ ]] ||
      fail "--vary is '$field'; expected FIELD=VALUE,VALUE,..., for example train.batch_size=8,16."
    [[ "$field" != seed=* ]] || fail "--vary=$field: seeds are given by --seeds=${field#*=}"
    next=()
    for line in "${lines[@]}"; do
      while read -r value; do
        next+=("${field%%=*}-$value-${line%% *} --config.${field%%=*}=$value ${line#* }")
      done < <(tr ',' '\n' <<< "${field#*=}")
    done
    lines=("${next[@]}")
  done
  for line in "${lines[@]}"; do
    echo "$shared${line#* } --workdir=$folder/${line%% *}"
  done
}
