#!/usr/bin/env bash
# Pins every dependency anew: constraints.txt with versions, launch/locked with hashes as well.
#
#   bash launch/lock.sh                       after a change of setup.cfg or of constraints.txt
#   bash launch/lock.sh --upgrade             to the newest versions that setup.cfg allows
#   bash launch/lock.sh --upgrade-package X   of this one alone
#
# Needs uv (pip install uv). One set for all systems and every Python from 3.11 on. The files of
# launch/locked share no package: setup.sh puts together those that it needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
locked=launch/locked

# What uv resolves. Arguments: its sources and flags.
compile() {
  uv pip compile --quiet --universal --python-version 3.11 --no-annotate \
    --custom-compile-command 'bash launch/lock.sh' "$@"
}

# Hashes of a set, in the versions of constraints.txt. $1: its name. Then sources and flags.
lock() {
  compile --generate-hashes --constraint constraints.txt --output-file "$locked/$1.txt" "${@:2}"
}

build="$(mktemp --suffix=.in)"
trap 'rm -f "$build"' EXIT
python3 -c 'import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > "$build"

# Versions that are there already are kept where they can be.
compile setup.cfg "$build" --extra test --extra cuda13 --extra tpu \
  --output-file constraints.txt "$@"
lock build "$build"
lock base setup.cfg
known=()
while read -r name; do
  known+=(--no-emit-package "$name")
done < <(sed -n 's/==.*//p' "$locked/build.txt" "$locked/base.txt")
for extra in test cuda13 tpu; do
  lock "$extra" setup.cfg --extra "$extra" "${known[@]}"
done
