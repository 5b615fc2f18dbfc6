"""Which helm may stay, by what it prints, and what the Helm project calls a processor."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.alnair.alluxio.plugins.filter.helm import helm_architecture, helm_fits, helm_number
from role_tools import run_playbook


@pytest.mark.parametrize(
    ("printed", "number"),
    [("v3.19.5\n", "3.19.5"), ("v4.3.1", "4.3.1"), ("v3.19.5+g4a19a5b", "3.19.5"), ("v4.0.0-rc.1+g1", "4.0.0-rc.1"), ("v4.3\n", "4.3"), ("", "")],
)
def test_the_number_is_read_from_what_helm_3_and_4_print(printed: str, number: str) -> None:
    assert helm_number(printed) == number


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        ("3.12.0", True),
        ("3.9.4", False),
        ("3.100.0", True),
        ("4.3.1", True),
        ("3.12", True),
        ("3.12.0-rc.1", False),
        ("3.11", False),
        ("", False),
        ("?", False),
    ],
)
def test_at_least_compares_numbers_and_takes_helm_4(found: str, fits: bool) -> None:
    assert helm_fits(found, "3.19.5", "3.12.0", exact=False) is fits


@pytest.mark.parametrize(("found", "fits"), [("3.19.5", True), ("3.19.6", False), ("3.19", False), ("4.3.1", False), ("", False)])
def test_exact_takes_that_version_and_no_newer_one(found: str, fits: bool) -> None:
    assert helm_fits(found, "3.19.5", "3.12.0", exact=True) is fits


def test_a_minimum_may_be_written_as_helm_prints_it() -> None:
    assert helm_fits("4.3.1", "4.3.1", "v4", exact=False)


@pytest.mark.parametrize("number", ["", "latest", "three"])
def test_a_minimum_that_is_no_version_is_named(number: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f'"{number}" is no version of helm'):
        helm_fits("3.19.5", "3.19.5", number, exact=False)


@pytest.mark.parametrize(("machine", "name"), [("x86_64\n", "amd64"), ("aarch64", "arm64"), ("armv7l", "arm"), ("s390x", "s390x")])
def test_a_processor_has_the_name_of_the_helm_project(machine: str, name: str) -> None:
    assert helm_architecture(machine) == name


@pytest.mark.parametrize(("method", "comes"), [("apt", "v3.99.1"), ("file", "/srv/helm"), ("snap", "latest/stable")])
@pytest.mark.parametrize("there", [True, False])
def test_check_mode_tells_from_which_helm_to_which(tmp_path: Path, method: str, comes: str, there: bool) -> None:
    if there:
        (tmp_path / "helm").write_text("#!/bin/sh\necho v3.2.0\n", encoding="utf-8")
        (tmp_path / "helm").chmod(0o755)
    (tmp_path / "play.yml").write_text("[{hosts: all, gather_facts: false, roles: [alnair.alluxio.helm_install]}]", encoding="utf-8")
    given = {"helm_install_directory": str(tmp_path), "helm_install_method": method, "helm_install_version": "3.99.1", "helm_install_file": "/srv/helm"}
    code, text = run_playbook(tmp_path, tmp_path / "play.yml", "--check", ansible_connection="local", **given)
    assert code == 0 and "changed=1 " in text, text
    found = yaml.safe_load(text.partition("Tell what would be installed")[2].partition("=>")[2].partition("\n\n")[0])["msg"]
    assert found == {"before": {f"{tmp_path}/helm": "v3.2.0"} if there else {}, "after": {f"{tmp_path}/helm": f"{comes} by method {method}"}}
