# Piped to a host as a library; a call of one of its functions follows it: source_key, target KEY, or proof ADDRESS... with the lines to pin in PINS.
set -eu
user=alluxio-user home=/home/alluxio-user

account() {
  getent group "$user" >/dev/null || groupadd -g 1000 "$user"
  getent passwd "$user" >/dev/null || useradd -m -u 1000 -g "$user" -s /bin/bash -d "$home" "$user"
  [ "$(getent passwd "$user" | cut -d: -f3,4,6,7)" = "1000:1000:$home:/bin/bash" ] || usermod -u 1000 -g "$user" -s /bin/bash -d "$home" "$user"
  [ "$(stat -c '%a %U' "$home/.ssh" 2>/dev/null)" = "700 $user" ] || install -d -m 0700 -o "$user" -g "$user" "$home/.ssh"
}

# KEY: the source's public key.
target() {
  account
  line="no-agent-forwarding,no-port-forwarding,no-pty,no-X11-forwarding $1"
  file=$home/.ssh/authorized_keys
  grep -qxF "$line" "$file" 2>/dev/null || printf '%s\n' "$line" >> "$file"
  [ "$(stat -c '%a %U' "$file")" = "600 $user" ] || { chmod 0600 "$file"; chown "$user:$user" "$file"; }
  [ "$(df -Pm /mnt | awk 'END {print $4}')" -ge 512 ] || { echo "less than 512 MiB free below /mnt" >&2; exit 1; }
  while read -r mode path; do
    [ "$(stat -c '%a %u %g' "$path" 2>/dev/null)" = "$mode 1000 1000" ] || install -d -m "$mode" -o 1000 -g 1000 "$path"
  done <<END
750 /mnt/fuse
750 /mnt/fuse/datasets
700 /mnt/fuse/alluxio-journal
770 /mnt/fuse/domain-socket
END
  find /mnt/fuse/alluxio-journal /mnt/fuse/domain-socket -xdev \( ! -user 1000 -o ! -group 1000 \) -exec chown -h 1000:1000 {} +
  cut -d ' ' -f 1,2 /etc/ssh/ssh_host_*_key.pub
}

source_key() {
  account
  [ -f "$home/.ssh/id_ed25519" ] || runuser -u "$user" -- ssh-keygen -q -t ed25519 -N '' -f "$home/.ssh/id_ed25519"
  cat "$home/.ssh/id_ed25519.pub"
}

# ADDRESS...: where to log in.
proof() {
  file=$home/.ssh/known_hosts
  printf '%s\n' "$PINS" | cmp -s - "$file" || { printf '%s\n' "$PINS" > "$file.new"; chown "$user:$user" "$file.new"; chmod 0600 "$file.new"; mv "$file.new" "$file"; }
  printf '%s\n' "$@" | xargs -n 1 -P 32 sh -c "runuser -u $user -- ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15 $user@\"\$0\" true"
}
