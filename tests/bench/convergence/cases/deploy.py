"""The state of the roles alluxio_user, passwordless_ssh and journal_directories in pyinfra's operations."""

from io import StringIO

from pyinfra import host, inventory
from pyinfra.api.exceptions import OperationError
from pyinfra.facts.files import File
from pyinfra.facts.server import Command
from pyinfra.operations import files, python, server

USER, SSH = "alluxio-user", "/home/alluxio-user/.ssh"
OPTIONS = "no-agent-forwarding,no-port-forwarding,no-pty,no-X11-forwarding"
HOST_KEYS = "cat /etc/ssh/ssh_host_*_key.pub"
DEEP = ["/mnt/fuse/alluxio-journal", "/mnt/fuse/domain-socket"]
WRONG = f"find {' '.join(DEEP)} -xdev '(' ! -user 1000 -o ! -group 1000 ')' -print 2>/dev/null | head -n 1"
PROOF = (
    f"printf '%s\\n' {' '.join(other.data.ssh_hostname for other in inventory)} | sed 's/^/{USER}@/' | xargs -n 1 -P 32 sh -c "
    f"'runuser -u {USER} -- ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=15 \"$0\" true'"
)
source = inventory.get_host(host.data.source)
is_source = host.name == source.name


def read() -> None:
    """Read the source's key once it is there; all hosts asking for it at once would be more sessions than sshd allows."""
    _done, answer = host.run_shell_command(f"cat {SSH}/id_ed25519.pub")
    source.data.public_key = answer.stdout.strip()


def allow() -> None:
    """Allow the source's key."""
    files.line(path=f"{SSH}/authorized_keys", line=f"{OPTIONS} {source.data.public_key}")
    files.file(path=f"{SSH}/authorized_keys", user=USER, group=USER, mode=600)


def known_hosts() -> StringIO:
    """Return the lines that pin every host's keys."""
    lines = [
        f"{other.name},{other.data.ssh_hostname} {' '.join(key.split()[:2])}"
        for other in inventory
        for key in other.get_fact(Command, command=HOST_KEYS).splitlines()
    ]
    return StringIO("\n".join(sorted(lines)) + "\n")


server.group(name="Make the group", group=USER, gid=1000)
server.user(name="Make the user", user=USER, uid=1000, group=USER, shell="/bin/bash", home="/home/alluxio-user", create_home=True)
files.directory(name="Make the ssh folder", path=SSH, user=USER, group=USER, mode=700)
if is_source:
    if not host.get_fact(File, path=f"{SSH}/id_ed25519"):
        server.shell(name="Make the key pair", commands=[f"runuser -u {USER} -- ssh-keygen -q -t ed25519 -N '' -f {SSH}/id_ed25519"])
    python.call(name="Read its public half", function=read)
python.call(name="Allow the source's key", function=allow)
for path, mode in (("/mnt/fuse", 750), ("/mnt/fuse/datasets", 750), (DEEP[0], 700), (DEEP[1], 770)):
    files.directory(name=f"Make {path}", path=path, user=USER, group=USER, mode=mode)
if host.get_fact(Command, command=WRONG):
    server.shell(name="Correct the owner of what lies in them", commands=[f"chown -Rh 1000:1000 {' '.join(DEEP)}"])
if int(host.get_fact(Command, command="df -Pm /mnt | tail -n 1").split()[3]) < 512:
    raise OperationError(f"{host.name} has less than 512 MiB free below /mnt")
if is_source:
    files.put(name="Pin the host keys", src=known_hosts(), dest=f"{SSH}/known_hosts", user=USER, group=USER, mode=600)
    server.shell(name="Prove that the source gets in everywhere", commands=[PROOF])
