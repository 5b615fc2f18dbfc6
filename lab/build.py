"""Build all that the lab is made of, from Go modules, Debian packages, Maven artifacts and Python packages, into a cache keyed by content.

Every product lies in ``<cache>/lab/<name>-<key>``, where the key is a digest of what it is made from: a changed input makes a
new product, an unchanged one costs nothing. A product appears under its name only when it is whole (built beside it, then renamed).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

LAB = Path(__file__).resolve().parent
OPERATOR = LAB.parent / "operator"
# What of that folder its image is made from.
OPERATOR_FILES = ("Containerfile", "requirements.txt", "alnair_operator")
# Data sets are tested with what takes some minutes more to build: their operator, and an S3 server to read from.
DATASETS = bool(os.environ.get("LAB_DATASETS"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "alnair" / "lab"
KUBERNETES = "1.34.4"
HELM = "3.19.5"
ALLUXIO = ("2.9.4", "2.9.3")
SUITE = "bookworm"
# Which Debian the hosts of molecule's scenarios are: HOST_SUITE=trixie make molecule. The lab's nodes are of SUITE.
HOST_SUITE = os.environ.get("HOST_SUITE", SUITE)
DEBIAN_TOOLS = ("buildah", "docker-registry", "iptables", "mmdebstrap", "netavark", "podman", "runc")
CLIENT_PACKAGES = "ca-certificates,curl,fuse3,iproute2,procps,python3-minimal,tini"
NODE_PACKAGES = (
    "ca-certificates,conntrack,containerd,containernetworking-plugins,curl,dbus,fuse3,iproute2,iptables,kmod,mount,"
    "openssh-server,procps,python3,python3-apt,runc,socat,sudo,systemd-sysv"
)


def say(text: str) -> None:
    """Print one line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def run(title: str, command: list[str], cwd: Path = LAB, env: dict[str, str] | None = None) -> None:
    """Run a command quietly with a line of progress every 15 s; show the end of its output and stop when it fails.

    Raises:
        SystemExit: the command failed.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(env or {})}, stdout=log, stderr=subprocess.STDOUT)
        while True:
            try:
                code = process.wait(timeout=15)
                break
            except subprocess.TimeoutExpired:
                say(f"{title}: {time.monotonic() - started:.0f} s so far")
        if code:
            log.seek(0)
            print("".join(log.readlines()[-40:]), end="", file=sys.stderr)
            sys.exit(f"{title}: failed with exit code {code}; its last lines stand above.")
    say(f"{title}: done in {time.monotonic() - started:.0f} s")


def digest(*inputs: str | Path) -> str:
    """Return a short digest of texts, files and all files below folders."""
    total = hashlib.sha256()
    for item in inputs:
        if isinstance(item, str):
            total.update(item.encode())
            continue
        for path in sorted([item] if item.is_file() else (p for p in item.rglob("*") if p.is_file() and p.suffix != ".pyc")):
            total.update(f"{path.relative_to(LAB) if path.is_relative_to(LAB) else path.name}{path.stat().st_mode & 0o777:o}".encode())
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


def product(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of a product, made now if it is not in the cache."""
    target = CACHE / f"{name}-{key}"
    if target.exists():
        return target
    work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=CACHE))
    work.chmod(0o755)
    make(work)
    work.rename(target)
    return target


def debian_tools() -> None:
    """Install the container tools where they are missing."""
    missing = [tool for tool in DEBIAN_TOOLS if not Path(f"/usr/share/doc/{tool}").exists()]
    if missing:
        run("Package lists", ["apt-get", "update", "-q"])
        run(f"Debian packages {', '.join(missing)}", ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing])


def go_tools(work: Path) -> None:
    """Build Kubernetes, etcd, CoreDNS, pause, kubectl and helm from one Go module, so that they share what they have in common."""
    flags = (
        f"-s -w -X k8s.io/component-base/version.gitVersion=v{KUBERNETES} -X k8s.io/component-base/version.gitMajor=1 "
        f"-X k8s.io/component-base/version.gitMinor=34 -X k8s.io/client-go/pkg/version.gitVersion=v{KUBERNETES} "
        f"-X helm.sh/helm/v3/internal/version.version=v{HELM}"
    )
    run(
        f"Kubernetes {KUBERNETES}, etcd, CoreDNS and helm {HELM} (about 9 minutes on 2 cores)",
        ["go", "install", "-buildvcs=false", "-trimpath", "-ldflags", flags, "tool"],
        cwd=LAB / "tools",
        env={"CGO_ENABLED": "0", "GOBIN": str(work)},
    )
    # The program of module etcd/server is named after the last part of its path.
    (work / "server").rename(work / "etcd")


def s3_server(work: Path) -> None:
    """Build the S3 server that tests and benches read from; a product of its own, so that the nodes need no new tools with it."""
    run(
        "versitygw (about 2 minutes on 2 cores)",
        ["go", "install", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "tool"],
        cwd=LAB / "s3",
        env={"CGO_ENABLED": "0", "GOBIN": str(work)},
    )


def wheels(work: Path) -> None:
    """Fetch the operator's Python packages for the Python of its image, so that its build needs no package index."""
    platforms = [f"manylinux_2_{minor}_{platform.machine()}" for minor in range(36, 16, -1)] + [f"manylinux2014_{platform.machine()}"]
    run(
        "Python packages of the operator",
        [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11",
         *(word for name in platforms for word in ("--platform", name)), "--dest", str(work / "packages"), "-r", str(OPERATOR / "requirements.txt")],
    )  # fmt: skip
    (work / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")


def rootfs(packages: str, suite: str = SUITE) -> Callable[[Path], None]:
    """Return a maker of a Debian root file system with the given packages."""
    return lambda work: run(
        f"Debian {suite} root file system",
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", suite, str(work / "rootfs.tar")],
    )


def prometheus(work: Path) -> None:
    """Unpack Debian's package of Prometheus and promtool beside the others: installed, it would start a service."""
    run("Package lists", ["apt-get", "update", "-q"])
    run("Prometheus", ["apt-get", "download", "-q", "prometheus"], cwd=work)
    (package,) = work.glob("*.deb")
    run("Prometheus unpacked", ["dpkg-deb", "--extract", str(package), str(work)])
    package.unlink()


def jars(version: str) -> Callable[[Path], None]:
    """Return a maker of the folder of jars of an Alluxio version."""
    return lambda work: run(
        f"Alluxio {version} from Maven",
        ["mvn", "-q", "-B", "-f", str(LAB / "images/alluxio/pom.xml"), "dependency:copy-dependencies", f"-Dalluxio.version={version}",
         "-DincludeScope=runtime", f"-DoutputDirectory={work}"],
    )


def image(name: str, folder: Path, inputs: dict[str, Path], *options: str) -> None:
    """Build one image with its context put together from its folder and other products."""
    with tempfile.TemporaryDirectory(prefix=".image-", dir=CACHE) as context:
        shutil.copytree(folder, context, dirs_exist_ok=True, symlinks=True)
        for target, source in inputs.items():
            if source.is_dir():
                shutil.copytree(source, Path(context) / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, Path(context) / target)
        run(f"Image {name}", ["buildah", "bud", "--isolation", "chroot", "--layers", *options, "-t", name, context])


def operator_image(name: str, packages: Path) -> None:
    """Build the image of the data set operator from the repository's folder, its packages from this machine."""
    with tempfile.TemporaryDirectory(prefix=".operator-", dir=CACHE) as empty:
        volumes = (f"--volume={packages / 'packages'}:/wheels:ro", f"--volume={packages / 'pip.conf'}:/etc/pip.conf:ro")
        base = f"--build-arg=ALLUXIO_IMAGE=localhost/alluxio:{ALLUXIO[0]}"
        image(name, Path(empty), {file: OPERATOR / file for file in OPERATOR_FILES}, base, *volumes)


def images(tools: Path, client: Path, alluxio: dict[str, Path], operator: str, packages: Path) -> Callable[[Path], None]:
    """Return a maker of the archive of all images that the cluster runs."""

    def make(work: Path) -> None:
        names = ["localhost/pause:3.10", "localhost/coredns:1.12.4", "localhost/alnair-client:1"]
        image(names[0], LAB / "images/pause", {"pause": tools / "pause"})
        image(names[1], LAB / "images/coredns", {"coredns": tools / "coredns"})
        image(names[2], LAB / "images/client", {"rootfs.tar": client / "rootfs.tar"})
        for version, folder in alluxio.items():
            names.append(f"localhost/alluxio:{version}")
            image(names[-1], LAB / "images/alluxio", {"lib": folder})
        if operator:
            names.append(operator)
            operator_image(operator, packages)
        run("Archive of the images", ["podman", "save", "--quiet", "-m", "-o", str(work / "images.tar"), *names])

    return make


def node_image(root: Path) -> str:
    """Return the name of the node image, built now if podman does not have it."""
    name = f"localhost/alnair-node:{digest(LAB / 'images/node', root.name)}"
    if subprocess.run(["podman", "image", "exists", name], check=False).returncode:
        image(name, LAB / "images/node", {"rootfs.tar": root / "rootfs.tar"})
    return name


def alone() -> TextIO:
    """Wait until no other checkout builds, and return the lock; what a killed build left half-made is removed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = (CACHE / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another checkout builds the lab's products; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)
    for old in CACHE.glob(".*-*"):
        shutil.rmtree(old)
    return lock


def main() -> None:
    """Build what is missing and print nothing but progress; leave ``products.json`` for the playbooks."""
    lock = alone()
    if lacking := [program for program in ("go", "mvn") if not shutil.which(program)]:
        sys.exit(f"{' and '.join(lacking)} must be on the PATH: Kubernetes and helm are built with Go 1.21 or later, Alluxio's images with Maven.")
    debian_tools()
    tools = product("tools", digest(LAB / "tools", KUBERNETES, HELM), go_tools)
    client = product("client", digest(CLIENT_PACKAGES, SUITE), rootfs(CLIENT_PACKAGES))
    node = product("node", digest(NODE_PACKAGES, SUITE), rootfs(NODE_PACKAGES))
    host = product("node", digest(NODE_PACKAGES, HOST_SUITE), rootfs(NODE_PACKAGES, HOST_SUITE))
    alluxio = {v: product(f"alluxio-{v}", digest(LAB / "images/alluxio/pom.xml", v), jars(v)) for v in ALLUXIO}
    key = digest(*(LAB / "images" / name for name in ("pause", "coredns", "client", "alluxio")), tools.name, client.name)
    links, operator, packages = {"tools": tools, "prometheus": product("prometheus", digest("prometheus", SUITE), prometheus)}, "", Path()
    if DATASETS:
        links["s3"] = product("s3", digest(LAB / "s3"), s3_server)
        packages = product("wheels", digest(OPERATOR / "requirements.txt"), wheels)
        # A tag of its own for each content: what runs is made anew when that changes.
        operator = f"localhost/alnair-operator:{digest(*(OPERATOR / name for name in OPERATOR_FILES), key)}"
        key = digest(key, operator)
    archive = product("images", key, images(tools, client, alluxio, operator, packages))
    made = {
        "tools": str(tools), "images": str(archive / "images.tar"), "node_image": node_image(node), "host_image": node_image(host),
        "operator_image": operator,
    }  # fmt: skip
    (CACHE / "products.json").write_text(json.dumps(made, indent=2))
    # Not keyed, for those who type and for tests: helm and kubectl as the lab has them, promtool and Prometheus, the S3 server of a lab with data sets.
    for name, folder in links.items():
        link = CACHE / name
        link.unlink(missing_ok=True)
        link.symlink_to(folder)
    lock.close()


if __name__ == "__main__":
    main()
