"""Ansible module: a Helm chart at hand, wherever it comes from, and what its values mean."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_chart
short_description: Have a Helm chart at hand and read its default values
description:
  - Takes a chart from a folder, a tarball, an OCI registry or a repository and returns the path of a copy on this host, its version, its digest and its
    default values.
  - The list of repositories of the user's own helm is neither read nor changed, so that a repository whose URL changes has nothing stale behind it.
  - Tarballs are kept by their digest. One whose digest is given is fetched once and never again.
  - Keys of O(values) that the chart does not know, or takes without effect, are warned of, each with the key that does the job where there is one.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  chart: {description: "Folder or tarball of a chart, an oci:// reference, or the chart's name in O(repository).", type: str, required: true}
  repository: {description: URL of a chart repository., type: str, default: ""}
  version: {description: Version that the chart shall have; empty for the newest., type: str, default: ""}
  digest: {description: "SHA-256 of the chart's tarball, in hex; anything else is refused. Empty for any.", type: str, default: ""}
  values: {description: Layers of values that are meant for the chart; later ones win., type: list, elements: dict, default: []}
  cache: {description: Folder that keeps fetched tarballs., type: path, default: ~/.cache/alnair/charts}
  helm: {description: The program helm., type: path, default: helm}
  timeout: {description: Seconds that fetching may take in all., type: int, default: 60}
attributes:
  check_mode: {description: Changes nothing but the cache., support: full}
  diff_mode: {description: Nothing changes., support: none}
"""

EXAMPLES = r"""
- name: Have the public chart of Alluxio at hand
  alnair.alluxio.helm_chart:
    repository: https://alluxio-charts.storage.googleapis.com/openSource/2.8.1
    chart: alluxio
    version: 0.6.48
  register: fetched
"""

RETURN = r"""
path: {description: Folder or tarball of the chart on this host., type: str, returned: success}
name: {description: Name of the chart., type: str, returned: success}
version: {description: Version of the chart., type: str, returned: success}
app_version: {description: Version of what the chart installs., type: str, returned: success}
digest: {description: SHA-256 of the tarball in hex; empty for a folder., type: str, returned: success}
defaults: {description: The values that the chart has of its own., type: dict, returned: success}
unknown: {description: A sentence for each key of O(values) that changes nothing., type: list, elements: str, returned: success}
"""

import difflib
import hashlib
import json
import re
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.validation import check_type_path

# An index may have thousands of entries, which take many seconds in pure Python: this loads with libyaml where it is there.
from ansible.module_utils.common.yaml import yaml_load
from ansible.module_utils.urls import open_url
from ansible_collections.alnair.alluxio.plugins.module_utils.chart_values import Keys
from ansible_collections.alnair.alluxio.plugins.module_utils.oci import registry
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

# What helm prints when a network or a server is away for a moment.
PASSING = (
    "connection refused",
    "connection reset",
    "EOF",
    "TLS handshake timeout",
    "i/o timeout",
    "no route to host",
    "network is unreachable",
    "server misbehaving",
    "Temporary failure",
    "429 ",
    "500 ",
    "502 ",
    "503 ",
    "504 ",
)


def sha256(path: Path) -> str:
    """Return the digest of a file in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(path: Path) -> dict[str, str]:
    """Return the texts of a chart by their path below its folder; those of charts inside it are left out.

    Raises:
        OSError: it cannot be read.
        tarfile.TarError: it is no tarball.
    """
    wanted = re.compile(r"(Chart\.yaml|values\.yaml|values\.schema\.json|templates/.*)")
    if path.is_dir():
        files = {str(item.relative_to(path)): item for item in path.rglob("*") if item.is_file()}
        return {name: item.read_text(encoding="utf-8", errors="replace") for name, item in files.items() if wanted.fullmatch(name)}
    texts = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.removeprefix("./").partition("/")[2]
            if wanted.fullmatch(name) and (source := archive.extractfile(member)):
                texts[name] = source.read().decode(errors="replace")
    return texts


def nearest(wanted: str, there: list[str]) -> str:
    """Return words for what is there, those most like the wanted one."""
    return ", ".join(difflib.get_close_matches(wanted, dict.fromkeys(there), n=5, cutoff=0)) or "none"


class Source:
    """Where a chart comes from."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.chart, self.repository, self.version = (module.params[name] for name in ("chart", "repository", "version"))
        self.digest = module.params["digest"].removeprefix("sha256:").lower()
        self.cache = Path(module.params["cache"])
        self.work = Path(module.tmpdir)

    def fail(self, text: str) -> NoReturn:
        """End with a sentence that names the chart and where it comes from."""
        origin = f" of the repository {self.repository}" if self.repository else ""
        version = f" in version {self.version}" if self.version else ""
        self.module.fail_json(msg=f"The chart {self.chart}{version}{origin}: {text} Nothing was changed.")
        raise AssertionError

    def path(self) -> Path:
        """Return the folder or tarball of the chart on this host."""
        if not self.repository and "://" not in self.chart:
            # An address is no path, so the argument's type is not one.
            path = Path(check_type_path(self.chart)).resolve()
            if not path.exists():
                self.fail("there is no such folder or tarball. Correct alluxio_chart_ref, or name a repository in alluxio_chart_repository.")
            return path
        kept = list((self.cache / self.digest).glob("*.tgz")) if self.digest else []
        if kept and sha256(kept[0]) == self.digest:
            return kept[0]
        pulled = self.pull()
        target = self.cache / sha256(pulled) / pulled.name
        if not target.exists() or sha256(target) != target.parent.name:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Whole or not at all: another run may be reading it.
            self.module.atomic_move(str(pulled), str(target))
        return target

    def pull(self) -> Path:
        """Return the tarball that helm fetches."""
        words = [
            self.module.params["helm"],
            "pull",
            self.chart,
            "--destination",
            str(self.work),
            "--repository-cache",
            str(self.work / "index"),
            "--repository-config",
            str(self.work / "repositories.yaml"),
        ]
        words += ["--repo", self.repository] if self.repository else []
        words += ["--version", self.version] if self.version else []
        deadline = time.monotonic() + self.module.params["timeout"]
        said = "it did not answer"
        for pause in (1, 2, 4, 0):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                # Not run_command, which knows no time limit.
                done = subprocess.run(words, capture_output=True, text=True, timeout=left, check=False)  # pylint: disable=ansible-bad-function
            except FileNotFoundError:
                self.fail(f"there is no {words[0]} to fetch it with. Install it with playbooks/install_helm.yml, or set alluxio_chart_helm.")
            except subprocess.TimeoutExpired:
                break
            if not done.returncode:
                return next(self.work.glob("*.tgz"))
            said = done.stderr.strip().removeprefix("Error: ")
            if not any(text in said for text in PASSING):
                self.missing(said)
            time.sleep(pause)
        self.fail(
            f"it could not be fetched, although asked for again: {said}. See that this host reaches the address, or take the chart from "
            "a tarball with alluxio_chart_ref."
        )

    def missing(self, said: str) -> NoReturn:
        """End because the source answers but does not have the chart."""
        charts = self.index()
        name = self.chart.rpartition("/")[2]
        if charts.get(name) and self.version and self.version not in charts[name]:
            self.fail(f"it has no such version. Versions there: {nearest(self.version, charts[name])}. Set alluxio_chart_version to one of them.")
        if charts and not charts.get(name):
            self.fail(f"there is no chart of this name. Charts there: {nearest(name, list(charts))}. Set alluxio_chart_ref to one of them.")
        self.fail(f"it could not be had: {said}. See that alluxio_chart_repository, alluxio_chart_ref and alluxio_chart_version name what is there.")

    def index(self) -> dict[str, list[str]]:
        """Return the versions by chart that the source has, as far as it tells."""
        name = self.chart
        try:
            if self.repository:
                index = yaml_load(open_url(f"{self.repository.rstrip('/')}/index.yaml", timeout=10).read())
                return {chart: [str(item["version"]) for item in items] for chart, items in index["entries"].items()}
            if name.startswith("oci://"):
                address, name = registry(name)
                tags = json.load(open_url(f"{address}{name}/tags/list", timeout=10))["tags"]
                # A tag cannot hold the plus sign of a version.
                return {name.rpartition("/")[2]: [tag.replace("_", "+") for tag in tags or []]}
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            pass  # What helm said is said then.
        return {}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "chart": {"type": "str", "required": True},
            "repository": {"type": "str", "default": ""},
            "version": {"type": "str", "default": ""},
            "digest": {"type": "str", "default": ""},
            "values": {"type": "list", "elements": "dict", "default": []},
            "cache": {"type": "path", "default": "~/.cache/alnair/charts"},
            "helm": {"type": "path", "default": "helm"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if yaml is None:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    source = Source(module)
    path = source.path()
    digest = "" if path.is_dir() else sha256(path)
    if source.digest and source.digest != digest:
        found = f"is {digest}" if digest else "cannot be told of a folder"
        source.fail(f"its digest {found}, alluxio_chart_digest asks for {source.digest}. Do not use it unless you know why; else correct alluxio_chart_digest.")
    try:
        texts = contents(path)
        about: dict[str, Any] = yaml_load(texts["Chart.yaml"])
        values: dict[str, Any] = yaml_load(texts.get("values.yaml", "")) or {}
        schema = json.loads(texts.get("values.schema.json", "{}"))
    except KeyError:
        source.fail(f"{path} has no Chart.yaml, so it is no chart. Correct alluxio_chart_ref.")
    except (OSError, ValueError, tarfile.TarError, yaml.YAMLError) as error:
        source.fail(f"{path} cannot be read as a chart: {error}. Correct alluxio_chart_ref.")
    version = str(about["version"])
    if re.match(r"v?\d+\.\d+\.\d+", source.version) and source.version.removeprefix("v") != version.removeprefix("v"):
        source.fail(f"what is at {path} has version {version}. Correct alluxio_chart_version or what alluxio_chart_ref names.")
    # The values of charts inside it belong to them, and helm knows global everywhere.
    below: dict[str, Any] = {item.get("alias") or item["name"]: {} for item in about.get("dependencies") or []}
    unknown = Keys({"global": {}, **below, **values}, schema, "\n".join(texts.values())).remarks(merged(module.params["values"]))
    for sentence in unknown:
        module.warn(sentence)
    module.exit_json(
        changed=False,
        path=str(path),
        name=about["name"],
        version=version,
        app_version=str(about.get("appVersion", "")),
        digest=digest,
        defaults=values,
        unknown=unknown,
    )


if __name__ == "__main__":
    main()
