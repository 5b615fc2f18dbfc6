"""Ansible module: a verb of the operator's image on data sets, as Jobs inside the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dataset_job
short_description: Check, repair or sum up data sets by Jobs inside the cluster
description:
  - Runs a Job per data set, all at once, with the image and the variables of the operator that is deployed, and reads what each printed and its exit code.
  - The Jobs have no rights in the cluster. Where a data set names credentials, its Job alone has that Secret, as files.
  - The Jobs are removed afterwards, however they ended; those of a run that was killed remove themselves an hour after their end.
version_added: 0.1.0
author: The Alnair authors (@CentaurusInfra)
options:
  verb: {description: What is done., type: str, required: true, choices: [check, repair, checksum]}
  names:
    description: Names of the data sets, as NAMESPACE/NAME where that is not the operator's namespace; empty for all of the operator's namespace.
    type: list
    elements: str
    default: []
  arguments: {description: What follows the name., type: list, elements: str, default: []}
  namespace: {description: Namespace of the operator., type: str, required: true}
  timeout: {description: Seconds that all of them may take., type: int, default: 3600}
  kubeconfig: {description: Kubeconfig file., type: path, required: true}
  context: {description: Context in the kubeconfig; empty for its current one., type: str, default: ""}
attributes:
  check_mode: {description: "Runs what only reads (check, checksum); tells of a repair that it would run.", support: full}
  diff_mode: {description: Has nothing to compare., support: none}
"""

EXAMPLES = r"""
- name: Compare what is cached with the source
  alnair.alluxio.dataset_job:
    kubeconfig: ~/.kube/config
    namespace: alluxio
    verb: check
    names: [images]
    arguments: [--content]
"""

RETURN = r"""
datasets:
  description:
    - By the name of each data set (NAMESPACE/NAME where that is not the operator's namespace), its exit code (rc), what it printed as JSON (report), and its
      last lines where it printed none (said).
  type: dict
  returned: success
"""

import time
import uuid
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.alnair.alluxio.plugins.module_utils import dataset_jobs, kube, objects, readiness

try:
    import kubernetes
except ImportError:
    kubernetes = None

READS = ("check", "checksum")


class Jobs:
    """The Jobs of one run."""

    def __init__(self, module: AnsibleModule) -> None:
        self.params = module.params
        self.api = kube.client(self.params)
        self.cluster, self.core = objects.Objects(self.api), kubernetes.client.CoreV1Api(self.api)
        self.jobs: dict[str, dict[str, Any]] = {}

    def operator(self) -> dict[str, Any]:
        """Return the operator's Deployment.

        Raises:
            LookupError: there is none.
        """
        named = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "alnair-operator", "namespace": self.params["namespace"]}}
        operator = self.cluster.get(named)
        if not operator:
            raise LookupError(
                f"There is no operator in namespace {self.params['namespace']}, whose image does the work. Deploy it with playbooks/deploy_operator.yml."
            )
        return operator

    def start(self, operator: dict[str, Any], sets: dict[str, dict[str, Any]]) -> None:
        """Make a Job for each data set."""
        for name, item in sets.items():
            job = dataset_jobs.manifest(operator, item, self.params["verb"], self.params["arguments"], uuid.uuid4().hex[:6], self.params["timeout"])
            self.jobs[name] = job
            self.cluster.apply(job)

    def pod(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """Return the pod of a Job."""
        found = self.cluster.listed("v1", "Pod", self.params["namespace"], f"batch.kubernetes.io/job-name={job['metadata']['name']}")
        return found[0] if found else None

    def wait(self) -> dict[str, dict[str, Any]]:
        """Return how each ended."""
        deadline, found = time.monotonic() + self.params["timeout"], dict[str, dict[str, Any]]()
        while True:
            for name, job in self.jobs.items():
                pod = None if name in found else self.pod(job)
                if pod and (code := dataset_jobs.ended(pod)) is not None:
                    found[name] = dataset_jobs.outcome(code, kube.log(self.core, pod["metadata"]["name"], self.params["namespace"], missing=""))
                elif pod and ((vain := readiness.hopeless(pod)) or time.monotonic() > deadline):
                    what = "its pod cannot start" if vain else f"it did not end within {self.params['timeout']} s (datasets_timeout)"
                    why = f"{readiness.pod_reason(pod)}{readiness.events_of(self.core, pod)}"
                    found[name] = {"rc": 124, "report": None, "said": f"{what}: {why}"}
                elif name not in found and time.monotonic() > deadline:
                    found[name] = {"rc": 124, "report": None, "said": "its Job got no pod; see kubectl get events"}
            if len(found) == len(self.jobs):
                return {name: found[name] for name in self.jobs}
            time.sleep(1)

    def remove(self) -> None:
        """Remove the Jobs with their pods."""
        for job in self.jobs.values():
            self.cluster.delete(job)


def work(module: AnsibleModule) -> None:
    """Run the Jobs."""
    jobs, reads = Jobs(module), module.params["verb"] in READS
    operator = jobs.operator()
    sets = dataset_jobs.meant(module.params["names"], operator, lambda space: jobs.cluster.listed("centaurusinfra.com/v1", "AlnairDatacache", space))
    if module.check_mode and not reads:
        module.exit_json(changed=bool(sets), datasets={})
    try:
        jobs.start(operator, sets)
        found = jobs.wait()
    finally:
        jobs.remove()
    # A repair that found nothing has changed nothing.
    done = any((item["report"] or {}).get("repaired", 1) for item in found.values())
    module.exit_json(changed=not reads and done, datasets=found)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **kube.ARGUMENTS,
            "verb": {"type": "str", "required": True, "choices": ["check", "repair", "checksum"]},
            "names": {"type": "list", "elements": "str", "default": []},
            "arguments": {"type": "list", "elements": "str", "default": []},
            "namespace": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    if kubernetes is None:
        module.fail_json(msg=missing_required_lib("kubernetes"))
    with kube.explained(module, LookupError):
        work(module)


if __name__ == "__main__":
    main()
