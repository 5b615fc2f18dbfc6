#!/usr/bin/env bash
# Prepares the virtual environment that .venv points to, from the newest Python found; takes no time when nothing changed.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }

# Runs a long step in the background and tells every 15 s how long it has been going on; its output is shown only on failure.
step() {
  local title=$1 log started pid
  shift
  log=$(mktemp)
  started=$SECONDS
  say "$title"
  "$@" >"$log" 2>&1 &
  pid=$!
  while sleep 1 && kill -0 "$pid" 2>/dev/null; do
    (((SECONDS - started) % 15 == 0)) && say "$title: $((SECONDS - started)) s so far"
  done
  if ! wait "$pid"; then
    say "$title: failed after $((SECONDS - started)) s; it printed:"
    tail -n 40 "$log"
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
  say "$title: done in $((SECONDS - started)) s"
}

# pyenv's shims answer to names of versions that are not switched on, so a Python counts as found only if it runs.
find_python() {
  local version candidate
  for version in 3.13 3.12 3.11; do
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python3 python3; do
      if "$candidate" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
        echo "$candidate"
        return
      fi
    done
  done
  echo "No usable Python 3.11 to 3.13 was found. Install one with its venv module (Debian: apt-get install python3-venv)." >&2
  return 1
}

# A link would be made within a folder, and change nothing of what is used.
if [ -e .venv ] && [ ! -L .venv ]; then
  echo "$PWD/.venv is no link, and this would make one, to an environment in the cache. Remove it or move it out of this folder, then try again." >&2
  exit 1
fi

python=$(find_python)
key=$({ "$python" --version; cat requirements.txt requirements-dev.txt; } | sha256sum | cut -c1-16)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/alnair/venv-$key
if [ ! -e "$venv/.complete" ]; then
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  step "Virtual environment with $("$python" --version)" "$python" -m venv "$venv"
  step "Python packages and Ansible collections" "$venv/bin/python" -m pip install --quiet -r requirements.txt -r requirements-dev.txt
  touch "$venv/.complete"
fi
ln -sfn "$venv" .venv
