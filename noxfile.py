"""The checks of the collection that need environments of their own; make test-all runs them.

Environments lie in the cache and are used again; `nox --list` names the sessions.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nox

HOME = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "alnair"
SUPPORTED = {"2.19": ("3.11", "3.12", "3.13"), "2.20": ("3.12", "3.13"), "2.21": ("3.12", "3.13")}
# PyPI's ansible of the time of an ansible-core carries the collections that requirements.yml names.
COLLECTIONS = {"2.19": "12", "2.20": "13", "2.21": "14"}
DEPENDENCIES = nox.project.load_toml("pyproject.toml")["project"]["dependencies"]
HELM = "4.3.1"
# A server of its own has the pip of ansible-test's environments, which is the only one that it asks besides the package index. It takes a file that
# is there, so this one does the same with the pip that comes with every Python.
BOOTSTRAP = """import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"])
subprocess.check_call([sys.executable, "-m", "pip", "install", *(word for word in sys.argv[1:] if not word.startswith("--no-"))])
"""

nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
# What is not run must not count as passed.
nox.options.error_on_missing_interpreters = True
nox.options.envdir = str(CACHE / "nox")
# As setup.sh does: pyenv's shims answer to names of versions that are not switched on.
os.environ["PATH"] = os.pathsep.join(
    [*map(str, sorted((Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions").glob("3.*/bin"))), os.environ["PATH"]]
)


def built(session: nox.Session) -> Path:
    """Build the collection and return its tarball."""
    folder = Path(session.create_tmp())
    shutil.rmtree(folder)
    session.run("ansible-galaxy", "collection", "build", "--output-path", str(folder), silent=True)
    return next(folder.glob("*.tar.gz"))


def with_core(session: nox.Session, core: str, *packages: str) -> None:
    """Install what the collection runs with, Ansible of the given series, and further packages."""
    session.install(f"ansible-core=={core}.*", f"ansible=={COLLECTIONS[core]}.*", *DEPENDENCIES, *packages)
    # The checkout's link alone is the collection; what it depends on came with PyPI's ansible.
    session.env["ANSIBLE_CONFIG"] = str(HOME / "ansible.cfg")


@nox.session(python="3.13")
@nox.parametrize("core", list(SUPPORTED))
def sanity(session: nox.Session, core: str) -> None:
    """All sanity tests of ansible-test, with every Python that is found."""
    session.install(f"ansible-core=={core}.*")
    archive = built(session)
    target = archive.parent / "ansible_collections" / "alnair" / "alluxio"
    target.mkdir(parents=True)
    session.run("tar", "--extract", "--file", str(archive), "--directory", str(target), external=True)
    shutil.copytree(HOME / "tests" / "sanity", target / "tests" / "sanity", symlinks=True)
    shutil.copy(HOME / "tests" / "config.yml", target / "tests")
    find = "import ansible_test, pathlib; print((pathlib.Path(ansible_test.__file__).parent / '_internal' / 'python_requirements.py').read_text())"
    found = re.search(r"pip='([0-9.]+)'", str(session.run("python", "-c", find, silent=True)))
    bootstrap = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{found[1].replace('.', '_')}.py" if found else None
    if bootstrap and not bootstrap.exists():
        bootstrap.parent.mkdir(parents=True, exist_ok=True)
        bootstrap.write_text(BOOTSTRAP, encoding="utf-8")
    session.chdir(target)
    session.run("ansible-test", "sanity", "--local", "--color", "no")


@nox.session(python="3.13")
def galaxy(session: nox.Session) -> None:
    """What Galaxy looks at before it takes the collection in; a warning counts as an error."""
    session.install("galaxy-importer>=0.4.44")
    archive = built(session)
    # Galaxy gives ansible-lint 180 s, which two busy cores outlast; make lint runs it with the same profile and no limit.
    session.env["GALAXY_IMPORTER_RUN_ANSIBLE_LINT"] = "false"
    session.chdir(archive.parent)
    said = str(session.run("python", "-m", "galaxy_importer.main", str(archive), silent=True, env={"COLUMNS": "200"}))
    wrong = [line for line in said.splitlines() if re.match("(WARNING|ERROR)", line)]
    if wrong or "completed successfully" not in said:
        session.error("\n".join(wrong) or said)


def unit_tests() -> list[str]:
    """Return the files of tests of what runs on the controller; those of the runner that render charts, too, need programs of the lab."""
    texts = {str(path): path.read_text(encoding="utf-8") for path in sorted((HOME / "tests" / "unit").glob("test_*.py"))}
    runner = re.compile("^(from|import) alnair[. ]", re.MULTILINE)
    return [path for path, text in texts.items() if "ansible_collections.alnair" in text or (runner.search(text) and "chart_tools" not in text)]


@nox.session
@nox.parametrize("python,core", [(python, core) for core, pythons in SUPPORTED.items() for python in pythons])
def matrix(session: nox.Session, core: str) -> None:
    """Each ansible-core on each Python that it supports: all playbooks' syntax, and the unit tests of plugins, roles and runner."""
    with_core(session, core, "jsonschema>=4", "pytest>=8", "pytest-timeout>=2.3")
    session.run("ansible-playbook", "--syntax-check", "-i", "inventory/example", *map(str, sorted((HOME / "playbooks").glob("*.yml"))), silent=True)
    session.run("pytest", "-m", "not long", *unit_tests(), *session.posargs)


@nox.session(python="3.13")
def helm(session: nox.Session) -> None:
    """The charts' unit tests with helm 4, installed by the collection's own role; make unit runs them with the lab's helm 3."""
    with_core(session, "2.21", "jsonschema>=4", "pytest>=8", "pytest-timeout>=2.3")
    folder = CACHE / f"helm-{HELM}"
    wanted = {"method": "go", "version": HELM, "exact": "true", "directory": str(folder)}
    words = [word for key, value in wanted.items() for word in ("-e", f"helm_install_{key}={value}")]
    session.run("ansible-playbook", "docs/examples/helm_install.yml", *words)
    session.run("pytest", "-m", "not long", *map(str, sorted((HOME / "tests" / "unit").glob("test_chart*.py"))), env={"HELM": str(folder / "helm")})


@nox.session(python="3.11")
@nox.parametrize("core", ["2.19"])
def deploy(session: nox.Session, core: str) -> None:
    """The oldest Ansible on the oldest Python takes the lab's release down, deploys it, finds nothing to do then, and verifies it."""
    with_core(session, core)
    for name in ("teardown", "site", "verify"):
        session.run("ansible-playbook", "-i", "inventory/lab", f"playbooks/{name}.yml", *session.posargs)
    again = str(session.run("ansible-playbook", "-i", "inventory/lab", "playbooks/site.yml", *session.posargs, silent=True))
    if re.search(r"changed=[1-9]", again):
        session.error(f"A second run changed something:\n{again}")
