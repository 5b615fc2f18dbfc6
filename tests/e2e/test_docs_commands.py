"""The commands that the documentation shows, run on the lab as they stand: page by page, in the order in which they stand there."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pexpect
import pytest
import s3
import yaml
from caching import NAMESPACE, numbered
from conftest import HOME, remove_secret
from reading import knob
from registries import registry

from alnair_runner import Alnair
from tests.shown_commands import PAGES, blocks

# They need the lab with LAB_DATASETS=1, as make test-all raises it; some wait for a data set, a backup or a release that starts.
pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]
SCRIPTS = {
    str(page.relative_to(HOME)): script
    for page in PAGES
    if (script := "".join(f"# line {item.line}\n{item.text}" for item in blocks("shell", [page]) if not item.note))
}
# `plan` ends with 10 where something would change, which is no failure; all else ends its page.
BEFORE = """set -eo pipefail
trap 'echo "This failed: $BASH_COMMAND" >&2' ERR
python() { local code=0; command python "$@" || code=$?; [[ $2 == plan && $code -eq 10 ]] || return "$code"; }
"""
PASSWORD = "as long as a sentence"
PYTHON = {page: [item.text for item in blocks("python", [HOME / page])] for page in sorted({item.page for item in blocks("python")})}
# Runs blocks of Python one after the other, as a reader types them; one that awaits gets a loop of its own.
TYPES = """import ast, asyncio, inspect, json, sys
names = {}
for text in json.load(sys.stdin):
    made = eval(compile(text, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.iscoroutine(made):
        asyncio.run(made)
"""
# What is typed at commands that wait, each after the terminal has shown something.
TYPED = {
    "ansible-vault encrypt_string": [("from stdin", "key\x04\x04")],
    "status --watch": [(r"until \^C", "\x03")],
}
# What pages with such commands take for given beside a shell in a checkout: the names of fixtures.
GIVEN = {"podman ": "images", "pip install": "packages", "create secret": "secrets", "s3://training/images": "bucket", "make lab-down": "lab_of_its_own",
         "label node": "labelled", "helm install": "without_release"}  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that is gone after the page, for it may hold gigabytes; of a short path, for Ansible's sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="docs-") as name:
        yield Path(name)


@pytest.fixture
def checkout(folder: Path, page: str) -> Path:
    """The reader's checkout. Their own inventory is the lab's; a page that makes it itself finds none."""
    made = folder / "checkout"
    shutil.copytree(HOME, made, symlinks=True, ignore=shutil.ignore_patterns(".git", ".*_cache", "build", "mine"))
    if "init inventory/mine" not in SCRIPTS.get(page, ""):
        shutil.copytree(made / "inventory" / "lab", made / "inventory" / "mine")
    return made


@pytest.fixture
def environment(cluster: Alnair, folder: Path) -> dict[str, str]:
    """What a reader's shell has: the cluster that kubectl speaks to, the programs, and an editor, which writes what the lab's inventory says."""
    editor = folder / "editor"
    editor.write_text("#!/bin/sh\nrm -rf inventory/mine && cp -r inventory/lab inventory/mine\n", encoding="utf-8")
    editor.chmod(0o700)
    # A home with all that there is in this one, but for host keys and the vault's password, which are the page's.
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True)
    # What a page installs stays with the page.
    (home / ".ansible").mkdir()
    (home / ".vault-password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    for item in Path.home().iterdir():
        if not (home / item.name).exists():
            (home / item.name).symlink_to(item)
    return {
        **os.environ,
        "HOME": str(home),
        # By another path to its products the lab's nodes would be made anew.
        "XDG_CACHE_HOME": str(s3.CACHE.parents[1]),
        "PATH": f"{Path(sys.executable).parent}:{s3.CACHE / 'tools'}:{os.environ['PATH']}",
        "KUBECONFIG": str(cluster.variables()["alluxio_kubeconfig"]),
        "EDITOR": str(editor),
        "TERM": "xterm",
    }


@pytest.fixture
def images(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Images of podman's own, and a registry in place of all others, with an image of Alluxio where the public one lies."""
    with registry(folder / "registry") as port:
        # A registry without TLS looks at no more than the path that it is asked for, so podman takes it for a proxy that leads to every registry.
        proxies = [f"{name}=http://127.0.0.1:{port}" for name in ("HTTP_PROXY", "HTTPS_PROXY")]
        insecure = "".join(f'[[registry]]\nlocation = "{name}"\ninsecure = true\n' for name in ("docker.io", "registry.example.org"))
        store = f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
        files = {"CONF": f"[engine]\nenv = {json.dumps(proxies)}\n", "REGISTRIES_CONF": insecure, "STORAGE_CONF": store}
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        # As the lab's images are built.
        environment["BUILDAH_ISOLATION"] = "chroot"
        environment |= {f"CONTAINERS_{name}": str(folder / name) for name in ("CONF", "REGISTRIES_CONF")}
        # The operator's image holds Alluxio too, and what is built upon it has all packages already: this proxy leads to no index of them.
        source = f"{knob('dataset_operator_image')}:{knob('dataset_operator_tag')}"
        subprocess.run(["podman", "push", "--quiet", source, "docker.io/alluxio/alluxio:2.9.4"], env=environment, check=True)
        environment["CONTAINERS_STORAGE_CONF"] = str(folder / "STORAGE_CONF")
        yield


@pytest.fixture
def packages(folder: Path, environment: dict[str, str]) -> None:
    """An environment of Python that holds nothing yet."""
    venv.create(folder / "venv", symlinks=True, with_pip=True)
    environment["PATH"] = f"{folder}/venv/bin:{environment['PATH']}"


@pytest.fixture
def secrets(page: str, checkout: Path, core: Any) -> Iterator[None]:
    """The file that Secrets are made from; these are gone before and after the page."""
    (checkout / "alluxio-site.properties").write_text("s3a.accessKeyId=reader\ns3a.secretKey=secret\n", encoding="utf-8")
    names = re.findall(r"create secret generic (\S+)", SCRIPTS[page])
    for name in names:
        remove_secret(core, name)
    yield
    for name in names:
        remove_secret(core, name)


@pytest.fixture
def bucket(store: s3.Endpoint, checkout: Path, core: Any) -> Iterator[None]:
    """The bucket with the Secret of its credentials; the inventory says where it is."""
    store.door.make_bucket("training")
    for name in numbered(60):
        store.door.put("training", f"images/{name}", os.urandom(50_000))
    remove_secret(core, "images-s3")
    core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": "images-s3"}, "stringData": store.credentials})
    with (checkout / "inventory" / "mine" / "group_vars" / "all.yml").open("a", encoding="utf-8") as file:
        yaml.safe_dump({"loading_bench_options": store.options}, file)
    yield
    remove_secret(core, "images-s3")


@pytest.fixture
def labelled(page: str, core: Any) -> Iterator[None]:
    """Nodes of the names that the page labels, of which nobody has seen a kubelet."""
    names = sorted(set(re.findall(r"\bnode-\d", SCRIPTS[page])))

    def remove() -> None:
        for name in names:
            with contextlib.suppress(kubernetes.client.ApiException):
                core.delete_node(name)

    remove()
    for name in names:
        core.create_node({"metadata": {"name": name}})
    yield
    remove()


@pytest.fixture
def without_release(cluster: Alnair, checkout: Path, environment: dict[str, str], core: Any) -> Iterator[None]:
    """A cluster that helm alone can install the release into, with its values in a file; the release goes again, so that the next page has the roles' own."""
    words = ["get", "values", "alluxio", "--output", "yaml", "--namespace", NAMESPACE]
    values = subprocess.run([s3.CACHE / "tools" / "helm", *words], env=environment, capture_output=True, check=True).stdout
    (checkout / "my-values.yaml").write_bytes(values)
    kinds = [f"alnair.io/alluxio-{kind}" for kind in ("master", "worker")]
    labels = {node.metadata.name: {kind: node.metadata.labels.get(kind) for kind in kinds} for node in core.list_node().items}
    for verb in ("teardown", "prepare_hosts", "deploy_volumes"):
        result = cluster.run(verb)
        assert result.status == "successful", result.failures
    for name, found in labels.items():
        core.patch_node(name, {"metadata": {"labels": found}})
    yield
    result = cluster.run("teardown")
    assert result.status == "successful", result.failures


@pytest.fixture
def lab_of_its_own(checkout: Path, environment: dict[str, str]) -> Iterator[None]:
    """Has the page raise a lab of two nodes beside the one that the other pages run on. The page takes it down; this does where the page did not get so far."""
    environment["LAB_ARGS"] = "-e lab_name=alnair-docs -e lab_subnet=10.89.81.0/24 -e lab_workers=1"
    yield
    subprocess.run(["make", "lab-down"], cwd=checkout, env=environment, check=True)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("page", SCRIPTS)
def test_the_commands_of_a_page_run_as_they_stand(
    page: str, cluster: Alnair, checkout: Path, environment: dict[str, str], request: pytest.FixtureRequest
) -> None:
    state = cluster.status()
    if not state["release"] or not state["capacity"]:
        # A page before this one has removed it.
        result = cluster.deploy()
        assert result.status == "successful", result.failures
    for command, name in GIVEN.items():
        if command in SCRIPTS[page]:
            request.getfixturevalue(name)
    words = ["-c", BEFORE + SCRIPTS[page]]
    # A shell in the background, which may have begun all this, lets nobody be interrupted.
    heeds = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    shell = pexpect.spawn("bash", words, timeout=2700, cwd=str(checkout), env=environment, encoding="utf-8", codec_errors="replace", dimensions=(50, 160),
                          preexec_fn=heeds)  # fmt: skip
    shell.logfile_read = io.StringIO()
    for shown, typed in [line for command, lines in TYPED.items() for line in lines * SCRIPTS[page].count(command)]:
        if shell.expect([shown, pexpect.EOF, pexpect.TIMEOUT]) == 0:
            shell.send(typed)
    shell.expect([pexpect.EOF, pexpect.TIMEOUT])
    shell.close()
    # Without colours and the like.
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shell.logfile_read.getvalue())
    assert shell.exitstatus == 0, said[-6000:]
    if page == "docs/tutorial.md":
        # What its pod has read, twice, and from where.
        assert re.findall("^40000000$", said, re.MULTILINE) == ["40000000"] * 2
        assert re.search(r"^\S+ /data fuse\S* ", said, re.MULTILINE), said[-6000:]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("page", PYTHON)
def test_the_python_of_a_page_runs_with_a_host_and_a_quota_of_the_lab(page: str, cluster: Alnair, checkout: Path, environment: dict[str, str]) -> None:
    if not cluster.status()["release"]:
        result = cluster.deploy()
        assert result.status == "successful", result.failures
    names = {"node-2": cluster.matched("alluxio_workers")[0], "32Gi": str(knob("alluxio_chart_quota"))}
    texts = [re.sub("|".join(names), lambda found: names[found[0]], text) for text in PYTHON[page]]
    done = subprocess.run([sys.executable, "-c", TYPES], cwd=checkout, env=environment, capture_output=True, text=True,
                          input=json.dumps([*texts, "print('At last', result.status, state['release']['status'])"]), check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-6000:]
    assert re.search(r"^successful \d+ \[\] ", done.stdout, re.MULTILINE), done.stdout[-6000:]
    assert "At last successful deployed" in done.stdout, done.stdout[-6000:]


def test_the_pictures_of_the_readme_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\((.+?)\)", (HOME / "README.md").read_text(encoding="utf-8"))
    assert pictures
    assert not [picture for picture in pictures if not (HOME / picture).is_file()], "Run `make pictures` and commit what it makes."
