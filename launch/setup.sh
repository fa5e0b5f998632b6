# shellcheck shell=bash
# Sourced by local.sh, test.sh, run.sh, sweep.sh and slurm.sh: a virtual environment with the pinned
# project in it, made once.
#
#   CVQ_VENV     folder of the environment (default .venv in the repository)
#   CVQ_JAX      cpu | cuda13 | tpu; default: what the machine has
#   CVQ_PYTHON   interpreter it is made from (default python3)

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# Whether a TPU is attached, by the ids that JAX knows it by. $1: where devices are listed.
has_tpu() {
  local device
  for device in "${1:-/sys/bus/pci/devices}"/*; do
    if [[ "$(cat "$device/vendor" 2> /dev/null)" == 0x1ae0 &&
      "$(cat "$device/device")" =~ ^0x00(27|56|5e|62|63|6f|76)$ ]]; then
      return 0
    fi
  done
  return 1
}

# Prints the JAX extra for this machine, or the one asked for.
jax_extra() {
  case "${CVQ_JAX:-}" in
    cpu | cuda13 | tpu) echo "$CVQ_JAX" ;;
    '')
      if [[ -n "${TPU_NAME:-}" ]] || has_tpu; then
        echo tpu
      elif command -v nvidia-smi > /dev/null && nvidia-smi -L > /dev/null 2>&1; then
        echo cuda13
      else
        echo cpu
      fi ;;
    *)
      echo "cvq: CVQ_JAX is '$CVQ_JAX'; choose cpu, cuda13 or tpu." >&2
      return 2 ;;
  esac
}

# Prints the names of the sets in launch/locked that this machine needs. $1: 'test' or nothing.
locked_sets() {
  local jax
  jax="$(jax_extra)" || return
  if [[ "$jax" == cpu ]]; then
    jax=''                        # the base has it
  fi
  echo base ${1:+"$1"} ${jax:+"$jax"}
}

# Makes the environment $venv from the sets $files, and marks it with $stamp; see set_up.
fill_venv() {
  local install locks
  echo "Setting up $venv (only this once, a minute or two)."
  "$python" -m venv "$venv" || return
  # Python compiles what is imported, then; all of it takes twenty seconds.
  install=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile)
  # What comes as source alone is built by the setuptools of the first set, and so is cvq itself:
  # for an isolated build pip would fetch whatever is newest, unchecked.
  "${install[@]}" --require-hashes --requirement "$locked/build.txt" || return
  "${install[@]}" --require-hashes --no-build-isolation "${files[@]/#/--requirement=}" || return
  "${install[@]}" --no-deps --no-build-isolation --editable "$repository" || return
  locks="$(cat "$locked"/*.txt | cksum)"
  if [[ "$(cat "$venv/cvq-locks" 2> /dev/null)" != "$locks" ]]; then
    rm -f "$venv"/cvq-[0-9]*         # marks of other versions than are installed now
    echo "$locks" > "$venv/cvq-locks"
  fi
  touch "$stamp"
}

# Runs `fill_venv`, unless another start does so or has: one at a time, where there are locks (macOS
# has no flock). In a subshell, with which the lock ends: no training is to hold it.
fill_venv_once() (
  if command -v flock > /dev/null && mkdir -p "$(dirname "$venv")" && exec 9> "${venv%/}.lock"; then
    flock -n 9 || { echo "Another start sets up $venv; waiting for it." && flock 9; } || true
  fi
  [[ -e "$stamp" ]] || fill_venv
)

# Makes and fills the environment where it is missing or out of date, and activates it. Nothing is
# installed whose checksum is not in launch/locked.
# $1: 'test' for the test extra too.
set_up() {
  local venv="${CVQ_VENV:-$repository/.venv}" python="${CVQ_PYTHON:-python3}"
  local locked="$repository/launch/locked" sets name files=() stamp
  sets="$(locked_sets "${1:-}")" || return
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    echo "cvq: $python is missing or older than 3.11; name another by CVQ_PYTHON=..." >&2
    return 2
  fi
  for name in $sets; do
    files+=("$locked/$name.txt")
  done
  # One mark for each choice of sets; a change of the requirements makes new ones.
  stamp="$venv/cvq-$(cat "$repository/setup.cfg" "$locked/build.txt" "${files[@]}" |
    cksum | cut -d' ' -f1)"
  if [[ ! -e "$stamp" ]]; then
    fill_venv_once || return
  fi
  # shellcheck disable=SC1091
  source "$venv/bin/activate"
}
