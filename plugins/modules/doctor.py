"""Ansible module: whether all holds that must hold before a deploy."""

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Tell whether hosts, cluster and controller are fit for a deploy
description:
  - Holds what M(alnair.alluxio.host_facts) told of the hosts, and what it reads of the cluster itself, against what Alluxio needs; each line says what to do.
  - Changes nothing. That something is wrong is an answer, no failure.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
  namespace: {description: Namespace of the release., type: str, required: true}
  release: {description: "Name of the release, whose own pods leave their room to those that follow them.", type: str, default: alluxio}
  hosts: {description: "What M(alnair.alluxio.host_facts) answered, by host; an empty answer leaves the host out.", type: dict, required: true}
  masters: {description: Hosts of masters., type: list, elements: str, required: true}
  workers: {description: Hosts of workers., type: list, elements: str, required: true}
  user: {description: Name of the account., type: str, required: true}
  uid: {description: Its number., type: int, required: true}
  group: {description: Name of its group., type: str, required: true}
  gid: {description: Number of its group., type: int, required: true}
  root: {description: Directory for journal and domain socket., type: path, required: true}
  mount: {description: Where FUSE mounts the cache., type: path, required: true}
  fuse: {description: Whether FUSE is wanted where O(values) do not say., type: bool, default: true}
  free_mib: {description: Space that each host must have below the directory., type: int, required: true}
  free_inodes: {description: Inodes that each host must have there., type: int, required: true}
  journal_size: {description: Space that masters must have beyond that., type: str, required: true}
  quota: {description: Memory of each worker's cache where O(values) name no tiers., type: str, required: true}
  chart_values: {description: "The chart's own values, over which all others win; empty where they are not known.", type: dict, default: {}}
  values_files: {description: Values files of the chart in order; later ones win., type: list, elements: path, default: []}
  values:
    description: >-
      Values that win over those; of all image, FUSE, tolerations, tiers, ports, hostNetwork, options of Java, requests, limits and the masters' number count.
    type: dict
    default: {}
  image: {description: Alluxio's image where O(values) name none., type: str, required: true}
  image_tag: {description: Its tag where O(values) say none., type: str, required: true}
  images: {description: Further images that nodes need., type: list, elements: str, default: []}
  storage_class: {description: The storage class of the volumes that deploy makes., type: str, required: true}
  claim_storage_class: {description: "The journal's storage class where O(values) say none; empty for O(storage_class).", type: str, default: ""}
  repository: {description: The chart's repository; empty for none., type: str, default: ""}
  chart: {description: "The chart's name there, or its folder, tarball or oci:// reference.", type: str, default: ""}
  chart_unread: {description: Why the chart cannot be read; empty where it can., type: str, default: ""}
  helm: {description: The helm that is used., type: path, required: true}
  helm_minimum: {description: Oldest version of it., type: str, required: true}
  helm_lacks: {description: Variable that is missing for helm's installation; empty where none is., type: str, default: ""}
  helm_program: {description: Program that installs helm where it is missing; empty for none., type: str, default: ""}
  ansible: {description: Version of ansible-core., type: str, required: true}
  timeout: {description: Seconds that the cluster and the repository have to answer., type: int, default: 10}
attributes:
  check_mode: {description: Changes nothing., support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
# The playbook alnair.alluxio.doctor asks all hosts and hands over what the inventory says.
- name: Hold a host and the cluster against what is wanted
  alnair.alluxio.doctor:
    kubeconfig: ~/.kube/config
    namespace: alluxio
    hosts: {node-1: "{{ hostvars['node-1'].told_by_host_facts }}"}
    masters: [node-1]
    workers: [node-1]
    user: alluxio-user
    uid: 1000
    group: alluxio-user
    gid: 1000
    root: /mnt/fuse
    mount: /mnt/alluxio-fuse
    free_mib: 512
    free_inodes: 1000
    journal_size: 1Gi
    quota: 1Gi
    image: alluxio/alluxio
    image_tag: 2.9.4
    storage_class: standard
    helm: /usr/local/bin/helm
    helm_minimum: 3.12.0
    ansible: "{{ ansible_version.full }}"
  register: report
"""

RETURN = r"""
checks:
  description: The report.
  type: list
  elements: dict
  returned: success
  contains:
    subject: {description: "A host, V(cluster) or V(controller).", type: str}
    check: {description: What was looked at., type: str}
    verdict: {description: "V(ok), V(warn) or V(fail).", type: str}
    text: {description: What was found., type: str}
    remedy: {description: What to do; empty where nothing is to be done., type: str}
said: {description: "The report as lines, what is wrong last.", type: list, elements: str, returned: success}
failed_checks: {description: What must be mended before a deploy., type: list, elements: str, returned: success}
"""

import json
import os
import platform
import re
import shutil
import subprocess
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.urls import open_url
from ansible_collections.alnair.alluxio.plugins.module_utils import doctor, kube
from ansible_collections.alnair.alluxio.plugins.module_utils.oci import ask, registry
from ansible_collections.alnair.alluxio.plugins.module_utils.values import merged

# The client brings PyYAML with it.
try:
    import kubernetes
    import yaml
except ImportError:
    kubernetes = None

ORDER = (doctor.OK, doctor.WARN, doctor.FAIL)


def cluster_facts(params: dict[str, Any]) -> dict[str, Any]:
    """Return what module_utils/doctor.py wants to know of the cluster."""
    patience: dict[str, Any] = {"seconds": params["timeout"]}
    try:
        api = kube.client(params)
        core, apps, storage = kubernetes.client.CoreV1Api(api), kubernetes.client.AppsV1Api(api), kubernetes.client.StorageV1Api(api)
        version = kube.patient(lambda: told_version(api), api, **patience)
        nodes = kube.retried(core.list_node, **patience).items
        pods = list(kube.listed(core.list_pod_for_all_namespaces, field_selector=kube.LIVE, **patience))
        dns = kube.retried(apps.list_namespaced_deployment, "kube-system", label_selector="k8s-app=kube-dns", **patience).items
        classes = list(kube.listed(storage.list_storage_class, **patience))
        volumes = list(kube.listed(core.list_persistent_volume, **patience))
        namespace = kube.retried(core.read_namespace, params["namespace"], missing=None, **patience)
    except kube.ClusterAway as error:
        return {"error": str(error)}
    except kubernetes.client.ApiException as error:
        return {"error": f"The API server that {params['kubeconfig']} names refused: {error.status} {error.reason}"}
    except (ValueError, LookupError) as error:
        # The client lists what it misses in an answer, line by line.
        text = ": ".join(str(error).splitlines()[:2])
        return {"error": f"What {params['kubeconfig']} names as the API server answers otherwise than one: {text}. Is something else in front of it?"}
    return {
        "version": version,
        "nodes": {item.metadata.name: api.sanitize_for_serialization(item) for item in nodes},
        "pods": pods,
        "dns": {item.metadata.name: item.status.available_replicas or 0 for item in dns},
        "storage_classes": {item["metadata"]["name"]: item["provisioner"] for item in classes},
        # A volume of a claim that is there may be the metastore's own.
        "volume_classes": [item["spec"].get("storageClassName", "") for item in volumes],
        "namespace": (namespace.metadata.labels or {}) if namespace else None,
    }


def told_version(api: Any) -> str:
    """Return the version of the API server; empty where it tells none.

    Raises:
        ValueError: the answer is no JSON.
    """
    # The client itself refuses an answer without any of nine fields, of which some distributions leave some out.
    answer = kubernetes.client.VersionApi(api).get_code(_preload_content=False, _request_timeout=kube.ANSWER_SECONDS)
    found = json.loads(answer.data)
    return str(found.get("gitVersion") or "").removeprefix("v") if isinstance(found, dict) else ""


def controller_facts(params: dict[str, Any]) -> dict[str, Any]:
    """Return versions, why helm does not run and whether one can be put there, and why the repository does not answer; empty where it does or there is none."""
    helm, broken = "", ""
    if os.access(params["helm"], os.X_OK):
        words, limit = [params["helm"], "version", "--template", "{{.Version}}"], params["timeout"]
        try:
            # Not run_command, which knows no time limit.
            done = subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False)  # pylint: disable=ansible-bad-function
            helm = "".join(re.findall(r"\d+\.\d+\.\d+", done.stdout)[:1])
            broken = "" if helm else " ".join(done.stderr.split()) or f"it tells no version, but ends with {done.returncode}"
        except subprocess.TimeoutExpired:
            broken = f"it did not answer within {limit} s"
        except OSError as error:
            broken = str(error.strerror)
    folder = os.path.dirname(params["helm"])
    return {
        "ansible": params["ansible"],
        "python": platform.python_version(),
        "helm": helm,
        "helm_broken": broken,
        "helm_writable": writable(folder),
        "helm_elsewhere": next((os.path.dirname(found) for found in [shutil.which("helm")] if found and os.path.dirname(found) != folder), ""),
        # Where the role looks for it.
        "helm_program": bool(shutil.which(params["helm_program"] or "true", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")),
        "repository": silence(params),
    }


def writable(folder: str) -> bool:
    """Return whether files can be put into a folder, or it be made where there is none."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder) or "."
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def silence(params: dict[str, Any]) -> str:
    """Return why the chart's repository or registry does not answer; empty where it does, or was not asked."""
    source, repository = doctor.chart_source(params), params["repository"]
    if not source.startswith(doctor.ASKED) or repository.startswith("oci://"):
        return ""
    oci = source.startswith("oci://")
    url = registry(source)[0] if oci else f"{repository.rstrip('/')}/index.yaml" if repository else source
    try:
        open_url(url, method="GET" if oci else "HEAD", timeout=params["timeout"]).close()
    except HTTPError as error:
        # So answers a registry that wants a token, which helm gets.
        return "" if oci and error.code == 401 else str(error)
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def unpullable(images: list[str], timeout: int) -> dict[str, str]:
    """Return why the registries of images do not give them to somebody without a login; those that do are left out."""
    found = {}
    for image in images:
        try:
            ask(image, timeout)
        except HTTPError as error:
            found[image] = str(error)
        except (OSError, ValueError, HTTPException) as error:
            found[image] = str(getattr(error, "reason", error))
    return found


def chart_values(params: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the chart's values as helm will merge them, and why files of them cannot be read."""
    layers, unread = [doctor.defaults(params)], []
    for path in params["values_files"]:
        try:
            with open(path, encoding="utf-8") as file:
                layer = yaml.safe_load(file) or {}
            layers.append(dict(layer))
        except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
            unread.append(f"{path}: {' '.join(str(error).split())}")
    return merged([*layers, params["values"]]), unread


def line(check: doctor.Check) -> str:
    """Return a line of the report."""
    told = f"{check.text.removesuffix('.')}. {check.remedy}" if check.remedy else check.text
    return f"{check.verdict:<4}  {check.subject}: {check.check}: {told}"


def main() -> None:
    """Run the module."""
    texts = ("namespace", "user", "group", "journal_size", "quota", "storage_class", "image", "image_tag", "helm_minimum", "ansible")
    numbers = ("uid", "gid", "free_mib", "free_inodes")
    module = AnsibleModule(
        argument_spec={
            **kube.ARGUMENTS,
            **{name: {"type": "str", "required": True} for name in texts},
            **{name: {"type": "int", "required": True} for name in numbers},
            **{name: {"type": "path", "required": True} for name in ("root", "mount", "helm")},
            **{name: {"type": "list", "elements": "str", "required": True} for name in ("masters", "workers")},
            "images": {"type": "list", "elements": "str", "default": []},
            "hosts": {"type": "dict", "required": True},
            "fuse": {"type": "bool", "default": True},
            "release": {"type": "str", "default": "alluxio"},
            "claim_storage_class": {"type": "str", "default": ""},
            "chart_values": {"type": "dict", "default": {}},
            "chart_unread": {"type": "str", "default": ""},
            "values_files": {"type": "list", "elements": "path", "default": []},
            "values": {"type": "dict", "default": {}},
            "repository": {"type": "str", "default": ""},
            "chart": {"type": "str", "default": ""},
            "helm_lacks": {"type": "str", "default": ""},
            "helm_program": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    params = module.params
    values, unread = chart_values(params)
    hosts = {name: answer for name, answer in params["hosts"].items() if answer}
    cluster = cluster_facts(params)
    images = [f"{values.get('image')}:{values.get('imageTag')}", *params["images"]]
    missing = [image for image in images if doctor.lacking(image, hosts, cluster.get("nodes", {})) and not image.startswith("localhost/")]
    cluster["unpullable"] = unpullable(missing, params["timeout"])
    try:
        found = doctor.checks(hosts, cluster, {**controller_facts(params), "unread": unread}, {**params, "values": values, "images": images})
    except ValueError as error:
        module.fail_json(msg=str(error))
    ordered = sorted(found, key=lambda check: ORDER.index(check.verdict))
    module.exit_json(
        changed=False,
        checks=[check._asdict() for check in found],
        said=[line(check) for check in ordered],
        failed_checks=[line(check) for check in found if check.verdict == doctor.FAIL],
    )


if __name__ == "__main__":
    main()
