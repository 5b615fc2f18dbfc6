"""The site is built without a warning, holds each role's contract and example, and the examples are playbooks that the roles take."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from docs import pictures

HOME = Path(__file__).parents[2]
EXAMPLES = sorted((HOME / "docs" / "examples").glob("*.yml"))
ROLES = sorted(path.parent.name for path in HOME.glob("roles/*/tasks"))


@pytest.fixture(scope="module")
def site() -> Path:
    """The pages as a reader has them; a warning fails, as a dead link is one."""
    # The environment is there already: the tests run in it.
    done = subprocess.run(["make", "--old-file=setup", "docs"], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return HOME / "build" / "docs"


def words(page: Path) -> str:
    """Return the text of a page without its marks."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("role", ROLES)
def test_the_page_of_a_role_has_every_variable_and_the_example(site: Path, role: str) -> None:
    text = words(site / "reference" / "collection" / f"{role}_role.html")
    contract = yaml.safe_load((HOME / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]
    assert not [name for name in contract["options"] if name not in text]
    assert (HOME / "docs" / "examples" / f"{role}.yml").read_text(encoding="utf-8").strip() in text


def test_the_page_of_the_command_line_has_every_verb_with_its_example(site: Path) -> None:
    text = words(site / "reference" / "cli.html")
    for example in ("alnair_runner.py upgrade -e alluxio_chart_image_tag=2.9.4 --check --diff", "alnair_runner.py dataset check images --content --sample 100"):
        assert example in text


def test_the_page_of_the_api_has_its_methods_and_fields(site: Path) -> None:
    text = words(site / "reference" / "api.html")
    assert "class alnair.Alnair" in text and "rollback(" in text and "class alnair.Event" in text


def test_no_markup_of_ansible_and_no_contract_is_left_to_the_reader_of_the_site(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not re.search(r"\b(C|M|O|V|RV)\([a-z]|ERROR while parsing", words(page)), page
    assert "argument_specs" not in (site / "datasets.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "charts/alluxio/README.md", "operator/README.md", "docs/README.md"])
def test_every_link_of_a_page_for_readers_of_the_repository_leads_somewhere(page: str) -> None:
    # The terminal pictures are made on the lab, where the long tests look for them.
    for target in re.findall(r"(?<!!)\[[^\]]*\]\((?!https?:)([^)#]+)", (HOME / page).read_text(encoding="utf-8")):
        assert ((HOME / page).parent / target).exists(), target


def test_the_front_page_leads_to_every_page() -> None:
    docs = HOME / "docs"
    pages = {str(path.relative_to(docs)) for path in docs.rglob("*.md") if "collection" not in path.parts} - {"README.md", "index.md"}
    front = (docs / "README.md").read_text(encoding="utf-8").partition("<!-- Below")[0]
    # These two are made from the contracts, so there is nothing to read in the repository.
    assert set(re.findall(r"\]\(([\w/-]+\.md)\)", front)) == pages - {"reference/cli.md", "reference/api.md"}


def test_the_seeds_steps_and_the_fifteen_problems_are_all_there() -> None:
    for page, last in (("explanation/from-the-seed.md", 12), ("known-problems.md", 15)):
        rows = re.findall(r"^\| (\d+)\b.*\| \S.* \|$", (HOME / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert [int(row) for row in rows] == list(range(1, last + 1)), page


def test_there_is_an_example_for_each_role() -> None:
    assert [path.stem for path in EXAMPLES] == ROLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_sets_only_variables_that_its_roles_know(path: Path) -> None:
    for play in yaml.safe_load(path.read_text(encoding="utf-8")):
        for role in play["roles"]:
            spec = yaml.safe_load((HOME / "roles" / role["role"].rpartition(".")[2] / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
            assert set(role.get("vars", {})) <= set(spec["argument_specs"]["main"]["options"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_roles_accept_what_an_example_gives_them(path: Path) -> None:
    # Of all tasks only the check of the contract runs, which asks no host.
    command = ["ansible-playbook", "-i", "inventory/example", str(path), "--tags", "no-task-has-this-tag"]
    run = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    checked = len(re.findall(r"TASK \[alnair\.alluxio\.\w+ : Validating arguments", run.stdout))
    assert checked == len(yaml.safe_load(path.read_text(encoding="utf-8"))[0]["roles"]), run.stdout


def test_a_picture_shows_what_stays_on_the_terminal() -> None:
    output = "\x1b[?25l\x1b[32m⠋\x1b[0m task 1\r\x1b[2K\x1b[32m⠙\x1b[0m task 2\r\x1b[2Kdone\r\n\x1b[1A\x1b[2Ka \x1b[1mtable\x1b[0m\r\nend\x1b[?25h\r\n"
    assert pictures.screen(output) == ["a \x1b[1mtable\x1b[0m", "end", ""]


def test_a_picture_is_made_of_what_a_verb_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "FOLDER", tmp_path / "pictures")
    pictures.draw("help", ["doctor", "--help"])
    text = (tmp_path / "pictures" / "help.svg").read_text(encoding="utf-8").replace("&#160;", " ")
    assert text.startswith("<svg") and "Tell whether hosts and cluster are fit for a deploy." in text and "alnair_runner.py doctor --help" in text


def test_no_picture_is_made_of_a_verb_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match="ended with 2"):
        pictures.draw("help", ["deplyo"])
    assert not list(tmp_path.iterdir())


def test_everything_is_tested_on_the_debians_that_contributing_names() -> None:
    # Only printed, not run.
    done = subprocess.run(["make", "--dry-run", "test-all"], cwd=HOME, capture_output=True, text=True, check=True)
    assert "HOST_SUITE=trixie make molecule" in done.stdout
