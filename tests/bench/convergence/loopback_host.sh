# Runs in namespaces of its own: loopback_host.sh NAME ADDRESS LOWER FOLDER becomes a host with a file system of its own and sshd.
# Everything is mounted in the namespace only, so that nothing is left when it ends.
set -eu
name=$1 address=$2 lower=$3 folder=$4
hostname "$name"
mkdir -p "$folder/mount"
mount -t tmpfs -o mode=755,size=2g tmpfs "$folder/mount"
cd "$folder/mount"
mkdir upper work root
mkdir -p upper/etc/ssh upper/etc/lab upper/run
cp -p "$folder"/keys/ssh_host_* upper/etc/ssh/
cp "$folder/../../access/id_ed25519.pub" upper/etc/lab/authorized_keys
mount -t overlay -o "lowerdir=$lower,upperdir=upper,workdir=work,xino=on" overlay root
mount -t proc proc root/proc
mount --rbind /dev root/dev
mount -t tmpfs -o mode=755 tmpfs root/run
mount -t tmpfs -o mode=1777 tmpfs root/tmp
mkdir root/run/sshd root/run/old
cd root
pivot_root . run/old
umount -l /run/old
shift 4
exec /usr/sbin/sshd -D -e -o LogLevel=VERBOSE -o PidFile=none -o "ListenAddress=$address" "$@"
