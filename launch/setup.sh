# shellcheck shell=bash
# Sourced by local.sh and test.sh: a virtual environment with the pinned project in it, made once.
#
#   CVQ_VENV     folder of the environment (default .venv in the repository)
#   CVQ_JAX      cpu | cuda13 | tpu; default: what the machine has
#   CVQ_PYTHON   interpreter it is made from (default python3)

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# Prints the JAX extra for this machine, or the one asked for.
jax_extra() {
  case "${CVQ_JAX:-}" in
    cpu | cuda13 | tpu) echo "$CVQ_JAX" ;;
    '')
      if compgen -G '/dev/accel*' > /dev/null || [[ -n "${TPU_NAME:-}" ]]; then
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

# Prints what pip installs: the project with its extras. $1: 'test' or nothing.
requirement() {
  local jax extras="${1:-}"
  jax="$(jax_extra)" || return
  if [[ "$jax" != cpu ]]; then
    extras="${extras:+$extras,}$jax"
  fi
  echo "$repository${extras:+[$extras]}"
}

# Makes and fills the environment where it is missing or out of date, and activates it.
# $1: 'test' for the test extra too.
set_up() {
  local venv="${CVQ_VENV:-$repository/.venv}" python="${CVQ_PYTHON:-python3}" wanted stamp
  wanted="$(requirement "${1:-}")" || return
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    echo "cvq: $python is missing or older than 3.11; name another by CVQ_PYTHON=..." >&2
    return 2
  fi
  # One mark for each set of extras; a change of the requirements makes new ones.
  stamp="$venv/cvq-$(cat "$repository/setup.cfg" "$repository/constraints.txt" <(echo "$wanted") |
    cksum | cut -d' ' -f1)"
  if [[ ! -e "$stamp" ]]; then
    echo "Setting up $venv (only this once, a minute or two)."
    "$python" -m venv "$venv" || return
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      --constraint "$repository/constraints.txt" --editable "$wanted" || return
    touch "$stamp"
  fi
  # shellcheck disable=SC1091
  source "$venv/bin/activate"
}
