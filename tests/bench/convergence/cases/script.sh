#!/bin/sh
# script.sh SSH_CONFIG NAME,ADDRESS...: the state of the roles by one script per host over parallel ssh. The source is the first host.
set -eu
cd "$(dirname "$0")"
config=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
source=${1%,*}

key=$({ cat host.sh; echo source_key; } | ssh -F "$config" "$source" sh -s)
{ cat host.sh; printf 'target "%s"\n' "$key"; } > "$folder/target.sh"
export config folder
# Each host's answer goes to a file of its own: lines of many at once would be mixed.
printf '%s\n' "$@" | xargs -P 25 -n 1 sh -c 'ssh -F "$config" "${0%,*}" sh -s < "$folder/target.sh" > "$folder/$0"'
pins=$(for host in "$@"; do while read -r pin; do printf '%s %s\n' "$host" "$pin"; done < "$folder/$host"; done)
{ cat host.sh; printf "PINS='%s'\nproof" "$pins"; for host in "$@"; do printf ' %s' "${host#*,}"; done; echo; } | ssh -F "$config" "$source" sh -s
