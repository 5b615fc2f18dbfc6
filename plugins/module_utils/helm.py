"""The program helm, what it stores of a release, and what the API server says of a rendered one."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.alnair.alluxio.plugins.module_utils import kube
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged

# The client brings PyYAML with it.
try:
    import kubernetes
    import kubernetes.dynamic
    import yaml
except ImportError:
    kubernetes = None

# What helm prints when the API server or a repository is away for a moment.
PASSING = ("connection refused", "connection reset", "EOF", "TLS handshake timeout", "i/o timeout", "the server is currently unable", "etcdserver:",
           "cluster unreachable", "http2: client connection lost")  # fmt: skip
# Seconds before each try; as long in all as kube.AWAY_SECONDS.
PAUSES = (0, 2, 4, 8, 16, 30, 30)
# A label of helm's Secret of a revision that was Ready. Its value is the revision's number, because helm hands labels on to the revisions that follow.
READY = "alnair.io/ready"
# What other objects live in, or what lies in it.
LIVED_IN = ("PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition", "Namespace")
# How the API server words that a field of an object cannot be changed.
FIXED = ("field is immutable", "updates to statefulset spec for fields other than", "may not change once set", "may not be changed once set")


def objects(manifest: str) -> list[dict[str, Any]]:
    """Return the objects of a manifest.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    return [item for item in yaml.safe_load_all(manifest) if item]


def title(item: Mapping[str, Any]) -> str:
    """Return kind/name of an object."""
    return f"{item.get('kind', '')}/{item.get('metadata', {}).get('name', '')}"


def forgetting(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON merge patch (RFC 7386) that sets what a new object says and removes what only the old one says."""
    kept = {key: forgetting(old[key], value) if isinstance(value, Mapping) and isinstance(old.get(key), Mapping) else value for key, value in new.items()}
    return {**dict.fromkeys(key for key in old if key not in new), **kept}


def keeps_pods(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether an object that is made anew takes its pods over.

    It must choose them, and, as a StatefulSet, have no further claim: its controller would try in vain to give them a volume of it, and never replace them.
    """

    def claims(item: Mapping[str, Any]) -> set[str]:
        return {template["metadata"]["name"] for template in item["spec"].get("volumeClaimTemplates") or []}

    return (live["spec"].get("selector") or {}) == (wanted["spec"].get("selector") or {}) and claims(wanted) <= claims(live)


def masked(manifest: str) -> list[str]:
    """Return the lines of a manifest with the values of Secrets hidden, in an order of their own.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    found = objects(manifest)
    for item in found:
        if item.get("kind") == "Secret":
            for part in ("data", "stringData"):
                item[part] = dict.fromkeys(item.get(part) or {}, "(masked)")
    return yaml.safe_dump_all(sorted(found, key=title), sort_keys=True).splitlines(keepends=True)


def restarted(before: str, after: str) -> list[str]:
    """Return the workloads of an earlier manifest, as kind/name, whose pods are of another kind in a later one, or of none."""
    old, new = ({title(item): item["spec"]["template"] for item in objects(text) if "template" in item.get("spec", {})} for text in (before, after))
    return [name for name, template in old.items() if template != new.get(name)]


def unpacked(data: str) -> dict[str, Any]:
    """Return a release from helm's Secret: JSON, compressed, and encoded twice (once by helm, once by the API)."""
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data))))
    return found


def write_chart(chart: Mapping[str, Any], folder: Path) -> None:
    """Write the chart of a stored release to a folder that helm takes."""
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart["metadata"]), encoding="utf-8")
    (folder / "values.yaml").write_text(yaml.safe_dump(chart.get("values") or {}), encoding="utf-8")
    if chart.get("schema"):
        (folder / "values.schema.json").write_bytes(base64.b64decode(chart["schema"]))
    for item in [*(chart.get("templates") or []), *(chart.get("files") or [])]:
        path = folder / item["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(item["data"]))


class Helm:
    """The program helm, bound to a cluster, a namespace and a release.

    Args:
        module: The Ansible module, with name, namespace, helm, kubeconfig, context, values and timeout among its options.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.params = module.params
        self.base = [self.params["helm"], "--kubeconfig", self.params["kubeconfig"], "--namespace", self.params["namespace"]]
        if self.params["context"]:
            self.base += ["--kube-context", self.params["context"]]
        self.client = kube.client(self.params)

    def __call__(self, *words: str, missing_is_none: bool = False, before_again: Callable[[], object] = lambda: None) -> str | None:
        """Run helm and return what it prints; a cluster that is away for a moment is asked again for as long as others ask it."""
        # Helm itself gives up a wait of its own before that.
        limit = self.params["timeout"] + 60
        for pause in PAUSES:
            if pause:
                time.sleep(pause)
                before_again()
            try:
                # Not run_command, which knows no time limit: an API server that takes a connection and never answers would hold helm for ever.
                done = subprocess.run([*self.base, *words], capture_output=True, text=True, timeout=limit, check=False)  # pylint: disable=ansible-bad-function
            except FileNotFoundError:
                self.module.fail_json(msg=f"There is no {self.params['helm']}. Install it with playbooks/install_helm.yml, or set alluxio_chart_helm.")
            except subprocess.TimeoutExpired:
                self.module.fail_json(msg=f"helm {words[0]} {self.params['name']}: not done after {limit} s. Does the API server answer (kubectl get nodes)?")
            if not done.returncode:
                return done.stdout
            if missing_is_none and "not found" in done.stderr:
                return None
            if words[0] in ("upgrade", "rollback") and "conflict with" in done.stderr and "--force-conflicts" not in words:
                # Helm 4 applies at the server, which keeps what somebody set by hand until it is told otherwise.
                words += ("--force-conflicts",)
                continue
            if not any(text in done.stderr for text in PASSING):
                break
        code = done.returncode
        said = done.stderr.strip() or done.stdout.strip() or (f"it was ended by signal {-code}" if code < 0 else f"exit code {code}")
        self.module.fail_json(msg=f"helm {words[0]} {self.params['name']}: {said}")
        return None

    def history(self) -> list[dict[str, object]]:
        """Return the revisions, oldest first."""
        out = self("history", self.params["name"], "--max", "50", "--output", "json", missing_is_none=True)
        return json.loads(out) if out else []

    def secrets(self) -> dict[int, Any]:
        """Return helm's Secrets of the release by revision."""
        selector = f"owner=helm,name={self.params['name']}"
        found = kube.retried(kubernetes.client.CoreV1Api(self.client).list_namespaced_secret, self.params["namespace"], label_selector=selector).items
        return {int(item.metadata.labels["version"]): item for item in found}

    def release(self, revision: int) -> dict[str, Any]:
        """Return what helm stored of a revision."""
        return unpacked(self.secrets()[revision].data["release"])

    def good_revision(self, history: list[dict[str, object]]) -> int:
        """Return the newest revision that was Ready, or else the newest that helm deployed; 0 for none."""
        marked = [number for number, item in self.secrets().items() if item.metadata.labels.get(READY) == str(number)] if history else []
        numbers = [int(str(item["revision"])) for item in history]
        ready = [number for number in numbers if number in marked]
        deployed = [int(str(item["revision"])) for item in history if item["status"] in ("deployed", "superseded")]
        return max(ready or deployed, default=0)

    def repair(self, history: list[dict[str, object]], revision: int = 0) -> str:
        """Free a release that a helm which was cut off left in mid-flight.

        Args:
            history: What helm says of the revisions.
            revision: What an upgrade goes back to; 0 for the newest that was Ready.

        Returns:
            What is done, or nothing where nothing is to do.
        """
        status = str(history[-1]["status"]) if history else ""
        good = revision or self.good_revision(history)
        if status.startswith("pending") and good:
            if not self.module.check_mode:
                self.roll_back(good)
            return f"rolled back to revision {good}"
        if status == "uninstalling":
            done = "ended the removal that was cut off"
        elif status.startswith("pending"):
            done = "removed what the first install left behind"
        else:
            return ""
        if not self.module.check_mode:
            # What was removed before the connection was cut is not there to be removed again.
            self("uninstall", self.params["name"], missing_is_none=True)
        return done

    def roll_back(self, revision: int) -> None:
        """Put an earlier revision back, but for its order to format the journal at every start, by which all names would be lost."""
        name, limit = self.params["name"], ("--timeout", f"{self.params['timeout']}s")
        self.make_way(self.unlisted(revision))
        if not self.formats(revision):
            self("rollback", name, str(revision), *limit)
            return
        if str(self.history()[-1]["status"]).startswith("pending"):
            newest = max(self.secrets())
            if self.formats(newest):
                self.module.fail_json(
                    msg=f"Revisions {revision} and {newest} of release {name} format the journal at every start of a master (journal.format.runFormat), by "
                    f"which all names are lost, and helm was cut off in {newest}. Nothing was put back. Copy the journal's directory first; then end that with "
                    f"helm rollback {name} {revision} yourself, and run this again."
                )
            # Nothing else ends what is in mid-flight, in front of which an upgrade is refused; this one keeps the journal.
            self("rollback", name, str(newest), *limit)
        chart, values = self.stored(revision)
        self("upgrade", name, chart, "--reset-values", "--values", self.values_file(values), *limit)

    def formats(self, revision: int) -> bool:
        """Tell whether the values of a revision have the public chart format the journal at every start; of an emptyDir, which is new each time, it must."""
        release = self.release(revision)
        journal = merged([release["chart"].get("values") or {}, release.get("config") or {}]).get("journal") or {}
        return bool((journal.get("format") or {}).get("runFormat")) and journal.get("volumeType") != "emptyDir"

    def unlisted(self, revision: int) -> list[dict[str, Any]]:
        """Return the release's live objects that a revision has and the newest one has not, in front of which a rollback by helm is stuck.

        A run that was cut off before it had removed them leaves such objects; helm looks for what is there in its newest revision only. What others live in,
        such as claims, is left to helm's own words, and so is what was to be kept.
        """
        secrets = self.secrets()
        known = {title(item) for item in objects(unpacked(secrets[max(secrets)].data["release"])["manifest"])}
        wanted = [item for item in objects(unpacked(secrets[revision].data["release"])["manifest"]) if title(item) not in known]
        found = kube.patient(lambda: self.living([item for item in wanted if item["kind"] not in LIVED_IN]), self.client)
        own = {"meta.helm.sh/release-name": self.params["name"], "meta.helm.sh/release-namespace": self.params["namespace"]}.items()
        return [
            {**live, "alnair_keep_pods": "template" in live.get("spec", {}) and keeps_pods(live, item)}
            for item, live in found
            if own <= (said := live["metadata"].get("annotations") or {}).items() and said.get("helm.sh/resource-policy") != "keep"
        ]

    def living(self, wanted: Iterable[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return the objects that are in the cluster, each with what it is there."""
        dynamic, found = self.dynamic(), []
        for item in wanted:
            # Of a kind that the cluster does not know any more there is none.
            with contextlib.suppress(kubernetes.dynamic.exceptions.NotFoundError, kubernetes.dynamic.exceptions.ResourceNotFoundError):
                resource, where = self.place(dynamic, item)
                found.append((item, resource.get(**where).to_dict()))
        return found

    def dynamic(self) -> Any:
        """Return a client of all kinds; what the client would keep of them in a file that anybody may write lies in the module's own folder."""
        return kubernetes.dynamic.DynamicClient(self.client, cache_file=os.path.join(self.module.tmpdir, "kinds.json"))

    def place(self, dynamic: Any, item: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        """Return the kind of an object, and its name with the namespace where it has one."""
        resource = dynamic.resources.get(api_version=item["apiVersion"], kind=item["kind"])
        where = {"namespace": item["metadata"].get("namespace") or self.params["namespace"]} if resource.namespaced else {}
        return resource, {"name": item["metadata"]["name"], **where}

    def stored(self, revision: int) -> tuple[str, dict[str, Any]]:
        """Return a folder with the chart of a revision, and its values.

        They are without a backup that a run which was killed had its masters start from, and without an order to format the journal at every start.
        """
        release = self.release(revision)
        folder = Path(tempfile.mkdtemp(prefix="chart-", dir=self.module.tmpdir))
        write_chart(release["chart"], folder)
        values = release.get("config") or {}
        properties = (values.get("master") or {}).get("properties") or {}
        # Where journal_restore lays it.
        if str(properties.get("alluxio.master.journal.init.from.backup", "")).endswith("/.alnair-restore/backup.gz"):
            del properties["alluxio.master.journal.init.from.backup"]
        return str(folder), merged([values, {"journal": {"format": {"runFormat": False}}}]) if self.formats(revision) else values

    def values_file(self, values: dict[str, object]) -> str:
        """Return the path of a file with values that only this user can read."""
        handle, path = tempfile.mkstemp(prefix="values-", suffix=".yaml", dir=self.module.tmpdir)
        with os.fdopen(handle, "w") as target:
            yaml.safe_dump(values, target)
        return path

    def upgrade(self, chart: str, defaults: dict[str, object], files: list[str], *words: str) -> dict[str, Any]:
        """Install or upgrade, or with --dry-run=server render; return the release."""
        paths = [self.values_file(defaults), *files, self.values_file(self.params["values"])]
        out = self("upgrade", "--install", self.params["name"], chart, "--reset-values", "--output", "json", "--timeout", f"{self.params['timeout']}s",
                   *[word for path in paths for word in ("--values", path)], *words,
                   before_again=lambda: self.repair(self.history()))  # fmt: skip
        return json.loads(out or "{}")

    def unchangeable(self, before: str, after: str) -> list[dict[str, Any]]:
        """Return the live objects that the API server would not change into what a manifest says because a field of them is fixed.

        What it refuses for another reason fails the module.

        Args:
            before: The manifest that is deployed.
            after: The one that is wanted.
        """
        found: list[dict[str, Any]] = kube.patient(lambda: self.asked(before, after), self.client)
        return found

    def asked(self, before: str, after: str) -> list[dict[str, Any]]:
        """Ask the API server once about each object of a manifest."""
        dynamic, found = self.dynamic(), []
        deployed = {title(item): item for item in objects(before)}
        for item, live in self.living(objects(after)):
            resource, where = self.place(dynamic, item)
            # As helm's own patch: what the deployed manifest has and the wanted one lacks goes, such as a probe's other handler; all else stays.
            body = forgetting(deployed.get(title(item), {}), item)
            try:
                resource.patch(body=body, content_type="application/merge-patch+json", dry_run="All", **where)
            except kubernetes.dynamic.exceptions.DynamicApiError as error:
                if kube.passing(error):
                    raise
                said = json.loads(error.body or "{}").get("message", str(error))
                if not any(text in said for text in FIXED):
                    self.module.fail_json(msg=f"The API server would refuse {title(item)}: {said} Nothing was changed.")
                if item["kind"] == "PersistentVolumeClaim":
                    self.module.fail_json(
                        msg=f"Claim {item['metadata']['name']} is there with other settings, which cannot be changed without losing it: {said} "
                        "Nothing was changed. Set its size and class as they are, or remove the claim yourself."
                    )
                live["alnair_keep_pods"] = keeps_pods(live, item)
                found.append(live)
        return found

    def there(self, manifest: str) -> str:
        """Return a manifest without the objects that somebody has removed from the cluster, and with the replicas that they have there."""
        found = kube.patient(lambda: self.living(objects(manifest)), self.client)
        for item, live in found:
            # Masters that were stopped; other replicas may be an autoscaler's matter.
            if item["kind"] == "StatefulSet" and item["spec"].get("replicas") is not None:
                item["spec"]["replicas"] = live["spec"]["replicas"]
        return yaml.safe_dump_all(item for item, _live in found)

    def stop_lost(self, before: str, after: str) -> None:
        """End masters that are about to change while too few of them are Ready for a quorum.

        Kubernetes changes one after another and waits until each is Ready: the first would wait in vain for a quorum with others that cannot start.
        """
        changing = restarted(before, after)
        kube.patient(lambda: self.stop([item for item in objects(after) if item["kind"] == "StatefulSet" and title(item) in changing]), self.client)

    def stop(self, wanted: Iterable[dict[str, Any]]) -> None:
        """Give StatefulSets that have lost their majority no replicas, and wait until their pods are gone; helm gives them theirs again."""
        dynamic = self.dynamic()
        for item, live in self.living(wanted):
            resource, where = self.place(dynamic, item)
            count, deadline = live["spec"]["replicas"], time.monotonic() + self.params["timeout"]
            if count > 1 and live["status"].get("readyReplicas", 0) <= count // 2:
                live = resource.patch(body={"spec": {"replicas": 0}}, content_type="application/merge-patch+json", **where).to_dict()
            while not live["spec"]["replicas"] and (
                live["status"].get("observedGeneration", 0) < live["metadata"]["generation"] or live["status"].get("replicas")
            ):
                if time.monotonic() > deadline:
                    self.module.fail_json(
                        msg=f"Pods of {title(item)} are still there {self.params['timeout']} s after they were told to end. Is a node of theirs down "
                        "(kubectl get nodes)? Run this again when they are gone."
                    )
                time.sleep(0.5)
                live = resource.get(**where).to_dict()

    def make_way(self, live: list[dict[str, Any]]) -> None:
        """Remove objects that helm is about to make anew; their pods stay, and are taken over, unless the selector changes."""
        kube.patient(lambda: self.remove(live), self.client)

    def remove(self, live: list[dict[str, Any]]) -> None:
        """Remove objects, and wait until they are gone."""
        dynamic = self.dynamic()
        for item in live:
            resource, where = self.place(dynamic, item)
            policy = "Orphan" if item["alnair_keep_pods"] else "Foreground"
            with contextlib.suppress(kubernetes.dynamic.exceptions.NotFoundError):
                resource.delete(**where, body={"propagationPolicy": policy})
            deadline = time.monotonic() + self.params["timeout"]
            while time.monotonic() < deadline:
                try:
                    resource.get(**where)
                except kubernetes.dynamic.exceptions.NotFoundError:
                    break
                time.sleep(0.5)
            else:
                self.module.fail_json(
                    msg=f"{title(item)} is still there {self.params['timeout']} s after it was removed to be made anew. Is a node of its pods down "
                    "(kubectl get nodes)? Run this again when it is gone."
                )
