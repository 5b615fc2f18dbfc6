"""What must hold on the machine that Ansible runs on, and of the registries and repositories that it asks."""

from __future__ import annotations

import http.server
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.alnair.alluxio.plugins.module_utils import doctor
from ansible_collections.alnair.alluxio.plugins.modules.doctor import controller_facts, unpullable, writable

from tests.unit.doctor_tools import CONTROLLER, WANTED, wrong

HOME = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("controller", "wanted", "found"),
    [
        ({"helm": ""}, {}, [("controller", "helm", "warn", "there is none at /usr/local/bin/helm")]),
        ({"helm": "", "helm_broken": "why"}, {}, [("controller", "helm", "warn", "/usr/local/bin/helm does not run: why")]),
        ({"helm": "3.9.0"}, {}, [("controller", "helm", "warn", "3.9.0")]),
        ({"helm": "4.0.0", "helm_writable": False}, {"helm_lacks": "x"}, []),
        (
            {"helm": "", "helm_writable": False},
            {},
            [("controller", "helm", "fail", "there is none at /usr/local/bin/helm, and /usr/local/bin cannot be written")],
        ),
        (
            {"helm": "3.9.0"},
            {"helm_lacks": "helm_install_sha256"},
            [("controller", "helm", "fail", "3.9.0, and deploy cannot install one without helm_install_sha256")],
        ),
        (
            {"helm": "", "helm_program": False},
            {"helm_program": "go"},
            [("controller", "helm", "fail", "there is none at /usr/local/bin/helm, and deploy cannot install one without the program go")],
        ),
        ({"helm_program": False}, {"helm_program": "go"}, []),
        ({"ansible": "2.19.0"}, {}, []),
        ({"ansible": "2.18.12"}, {}, [("controller", "versions", "fail", "ansible-core 2.18.12, Python 3.13.0")]),
        ({"ansible": "2.22.0.dev0"}, {}, [("controller", "versions", "warn", "ansible-core 2.22.0.dev0, Python 3.13.0")]),
        ({}, {"repository": "https://x"}, []),
        ({}, {"chart": "oci://x/alluxio"}, []),
        ({}, {"chart": "/charts/alluxio"}, []),
        ({"repository": "gone"}, {"chart": "oci://x/alluxio"}, [("controller", "chart repository", "fail", "oci://x/alluxio: gone")]),
        ({}, {"repository": "oci://x"}, [("controller", "chart repository", "fail", "oci://x is a registry, which helm takes for no repository")]),
        ({}, {"repository": "s3://x"}, [("controller", "chart repository", "warn", "s3://x was not asked, for it is neither http(s):// nor oci://")]),
        ({"repository": "404"}, {"repository": "https://x"}, [("controller", "chart repository", "fail", "https://x: 404")]),
    ],
)
def test_what_is_wrong_with_the_controller_is_said(controller: dict[str, Any], wanted: dict[str, Any], found: list[tuple[str, ...]]) -> None:
    assert wrong(controller=controller, **wanted) == found


def test_a_helm_elsewhere_is_named_with_the_variable_that_takes_it() -> None:
    found = {**CONTROLLER, "helm": "", "helm_elsewhere": "/opt/bin"}
    for more in ({}, {"helm_writable": False}):
        assert "set helm_install_directory to /opt/bin" in doctor.of_helm({**found, **more}, WANTED).remedy


def test_where_helm_is_missing_its_folder_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "helm").write_text("#!/bin/sh\necho v3.19.5\n", encoding="utf-8")
    (tmp_path / "bin" / "helm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    params = {"helm": str(tmp_path / "bin" / "helm"), "helm_program": "go-of-nowhere", "repository": "", "chart": "", "timeout": 5, "ansible": "2.21.5"}
    assert [controller_facts({**params, "helm_program": name})["helm_program"] for name in ("", "sh", "go-of-nowhere")] == [True, True, False]
    assert controller_facts(params)["helm_elsewhere"] == ""
    found = controller_facts({**params, "helm": str(tmp_path / "new" / "bin" / "helm")})
    assert (found["helm"], found["helm_writable"], found["helm_elsewhere"]) == ("", True, str(tmp_path / "bin"))
    assert not writable(str(tmp_path / "bin" / "helm" / "below-a-file"))
    assert not writable("/proc/sys/nowhere")


def test_the_versions_of_ansible_are_those_that_the_tests_run_with() -> None:
    cores = re.findall(r"^SUPPORTED = (.*)", (HOME / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE)[0]
    known = re.findall(r'"(2\.\d+)"', cores)
    assert (known[0], known[-1]) == (doctor.OLDEST_ANSIBLE, doctor.NEWEST_ANSIBLE)
    assert f">={doctor.OLDEST_ANSIBLE}." in (HOME / "meta" / "runtime.yml").read_text(encoding="utf-8")


class Registry(http.server.BaseHTTPRequestHandler):
    """Wants a token at /v2/, as registries do, and for its images, which it gives for public ones; has nothing else."""

    def do_GET(self) -> None:
        name, where = self.path.split("/")[2:3], f"127.0.0.1:{self.connection.getsockname()[1]}"
        if self.path == "/token?service=me&scope=public":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"token": "t"}')
        elif self.path == "/v2/" or (name in (["public"], ["private"]) and self.headers["Authorization"] != "Bearer t"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", f'Bearer realm="http://{where}/token",service="me",scope="{"".join(name)}"')
            self.end_headers()
        elif self.path == "/v2/public/manifests/1" and "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]:
            self.send_response(200)
            self.end_headers()
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, *_words: Any) -> None:
        pass


def test_an_images_registry_is_asked_as_somebody_without_a_login() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        public, missing, private = (f"127.0.0.1:{server.server_port}/{name}" for name in ("public:1", "public:2", "private:1"))
        found = unpullable([public, missing, private, "127.0.0.1:9/gone:1", "127.0.0.1:9/a blank:1"], 5)
        server.shutdown()
    assert public not in found
    assert "404" in found[missing]
    assert "401" in found[private]
    assert "refused" in found["127.0.0.1:9/gone:1"]
    assert "control characters" in found["127.0.0.1:9/a blank:1"]


@pytest.mark.parametrize(("repository", "chart", "reason"), [("", "oci://{}/charts/alluxio", ""), ("http://{}", "alluxio", "404"), ("", "http://{}/a.tgz", "404"),
                                                             ("", "oci://127.0.0.1:9/alluxio", "refused"), ("http://127.0.0.1:9", "", "refused")])  # fmt: skip
def test_a_repository_and_a_registry_are_asked(tmp_path: Path, repository: str, chart: str, reason: str) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"127.0.0.1:{server.server_port}"
        params = {
            "helm": str(tmp_path / "helm"),
            "timeout": 5,
            "ansible": "2.21.5",
            "helm_program": "",
            "repository": repository.format(where),
            "chart": chart.format(where),
        }
        found = controller_facts(params)
        server.shutdown()
    assert found["helm"] == ""
    assert reason in found["repository"] and bool(reason) is bool(found["repository"])


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("\x7fELF", "Exec format error"),
        ("#!/bin/sh\nexec sleep 60\n", "it did not answer within 1 s"),
        ("#!/bin/sh\necho no such library >&2\nexit 127\n", "no such library"),
        ("#!/bin/sh\nexit 1\n", "it tells no version, but ends with 1"),
        ("#!/bin/sh\necho v3.19.5\n", ""),
    ],
)
def test_a_helm_that_does_not_run_ends_no_report(tmp_path: Path, text: str, broken: str) -> None:
    (tmp_path / "helm").write_text(text, encoding="utf-8")
    (tmp_path / "helm").chmod(0o755)
    found = controller_facts({"helm": str(tmp_path / "helm"), "repository": "", "chart": "", "timeout": 1, "ansible": "2.21.5", "helm_program": ""})
    assert (found["helm"], found["helm_broken"]) == ("" if broken else "3.19.5", broken)
