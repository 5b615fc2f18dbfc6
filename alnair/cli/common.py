"""What the verbs share: options, how errors are said, and a run from words to exit code."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import rich.console
import rich.table
import yaml

from alnair.api import Alnair
from alnair.errors import ClusterError, UsageError
from alnair.events import Event
from alnair.progress import Progress
from alnair.result import EXIT_INTERRUPTED, Failure, Result

# Whether the document that was asked for is printed already.
TOLD = "alnair.told"
FORMS = {"--json": "json", "--jsonl": "jsonl"}


class Verb(click.Command):
    """A command whose help ends with an example, and that tells programs, too, why it could not begin.

    Args:
        example: What stands behind the command's name.
    """

    def __init__(self, *args: Any, example: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        formatter.write(f"\nExample: {ctx.command_path} {self.example}\n")

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> click.Context:
        """Read the words; where they are wrong, what of them asks for a document is looked for by itself."""
        # Those behind -- are a command's of the cluster.
        asked = [FORMS[word] for word in args[: args.index("--") if "--" in args else None] if word in FORMS]
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            # All words of the line, which its verb reads, come by the group first.
            if asked and not isinstance(self, click.Group) and not extra.get("resilient_parsing"):
                refused(f"{parent.command_path if parent else ''} {info_name}", error, asked[-1])
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; what was refused, or could not be read, a document tells where one was asked for and is not printed yet."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            form = ctx.params.get("form") or ("json" if ctx.params.get("as_json") else None)
            if form and not ctx.invoked_subcommand and not ctx.meta.get(TOLD):
                refused(ctx.command_path, error, form)
            raise


def refused(path: str, error: click.ClickException, form: str) -> None:
    """Print the document of a call that could not begin: that of a run that failed, with the exit code.

    Args:
        path: The verb as it was called, with the runner's name before it.
        error: Why.
        form: As of :func:`report`.
    """
    verb = " ".join(path.split()[1:])
    told = dataclasses.asdict(Result(failures=[Failure("localhost", f"start of {verb}", error.format_message())]))
    document(form, {"verb": verb, **told, "exit_code": error.exit_code})


def document(form: str, content: dict[str, Any]) -> None:
    """Print a document: whole, or as the last line of --jsonl."""
    click.echo(json.dumps(content, indent=2) if form == "json" else json.dumps({"event": "result", **content}))
    if context := click.get_current_context(silent=True):
        context.meta[TOLD] = True


class Verbs(Verb, click.Group):
    """Verbs that share a name."""

    command_class = Verb

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; an interrupt that it does not take itself ends it with the exit code of one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(EXIT_INTERRUPTED)


# What may be cut off in the middle of helm's work.
BY_HELM = ("deploy", "upgrade", "rollback", "scale", "restore", "teardown")
INVENTORY = click.option("-i", "--inventory", type=click.Path(), help="By default ANSIBLE_INVENTORY, else inventory/lab.")
READING = [INVENTORY, click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")]
RUNNING = [
    INVENTORY,
    click.option("-l", "--limit", default="", help="Only these hosts; the cluster's tasks always run."),
    click.option("-e", "extra", multiple=True, metavar="VAR", help="key=value, YAML, JSON or @file; may be repeated."),
    click.option("--json", "form", flag_value="json", help="Print one JSON document at the end."),
    click.option("--jsonl", "form", flag_value="jsonl", help="Print each event as a line of JSON, the result last."),
    click.option("-v", "verbosity", count=True, help="Show ansible-playbook's own output; -vvv for more."),
]
CHANGING = [
    *RUNNING[:2],
    click.option("-C", "--check", is_flag=True, help="Tell what would change; change nothing."),
    click.option("-D", "--diff", is_flag=True, help="Show differences."),
    *RUNNING[2:],
]


def given(options: list[Any]) -> Callable[[Any], Any]:
    """Return a decorator that gives a command options."""
    return lambda function: functools.reduce(lambda inner, option: option(inner), reversed(options), function)


reading, running, changing = given(READING), given(RUNNING), given(CHANGING)


@contextlib.contextmanager
def said() -> Iterator[None]:
    """Turn what was refused or could not be read into click's errors: a sentence, and exit code 2 or 1."""
    try:
        yield
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    except ClusterError as error:
        raise click.ClickException(str(error)) from error


class Variables(yaml.SafeLoader):
    """Reads what -e gives; a value that is encrypted, or no template, stays so until ansible-playbook has it."""


Variables.add_constructor("!vault", lambda _loader, node: {"__ansible_vault": str(node.value)})
Variables.add_constructor("!unsafe", lambda _loader, node: {"__ansible_unsafe": str(node.value)})
# A version that looks like a date stays what was typed; JSON, in which variables are handed on, knows no dates.
Variables.add_constructor("tag:yaml.org,2002:timestamp", lambda _loader, node: str(node.value))
# What begins like this is key=value, and more of them may follow.
ASSIGNS = re.compile(r"[A-Za-z_]\w*=")


def assigned(item: str) -> dict[str, Any]:
    """Return variables from key=value as Ansible splits it; true and false are booleans, for a condition takes no text.

    Raises:
        UsageError: quotes stay open, or a word is no key=value.
    """
    from ansible.errors import AnsibleError
    from ansible.parsing.splitter import parse_kv

    try:
        found = parse_kv(item)
    except (AnsibleError, ValueError) as error:
        raise UsageError(f"-e {item} cannot be read: its quotes, braces or escapes do not end. Close them, or give it as JSON.") from error
    if alone := found.pop("_raw_params", ""):
        raise UsageError(f"-e {item}: {alone} is no key=value. A value with spaces stands in quotes of its own: key='one two'.")
    return {key: value == "true" if value in ("true", "false") else value for key, value in found.items()}


def extra_variables(items: tuple[str, ...]) -> dict[str, Any]:
    """Return variables from words as ansible-playbook's -e takes them: key=value, YAML or JSON, or @file.

    Raises:
        UsageError: a word is none of these.
    """
    found: dict[str, Any] = {}
    for item in items:
        if item.startswith("@") and not Path(item[1:]).expanduser().is_file():
            raise UsageError(f"-e {item}: there is no file {item[1:]}.")
        if ASSIGNS.match(item):
            found.update(assigned(item))
            continue
        try:
            text = Path(item[1:]).expanduser().read_text(encoding="utf-8") if item.startswith("@") else item
            values = yaml.load(text, Variables)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"-e {item} cannot be read: {error}") from error
        except yaml.YAMLError as error:
            # All that it tells would show the line, which may hold a secret.
            mark = getattr(error, "problem_mark", None)
            where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise UsageError(f"-e {item} cannot be read: {getattr(error, 'problem', None) or 'it is no YAML'}{where}.") from error
        if text.startswith("$ANSIBLE_VAULT"):
            raise UsageError(
                f"-e {item} is encrypted as a whole. Encrypt its values instead (ansible-vault encrypt_string), or put it among the inventory's group_vars."
            )
        if not isinstance(values, dict):
            raise UsageError(f'-e "{item}" is neither key=value, with letters, digits and _ in the key, nor a mapping in YAML or JSON nor @file.')
        found.update(values)
    return found


def console_of(options: dict[str, Any]) -> rich.console.Console:
    """Return where people read: not where programs do; in a file or a pipe names stay whole."""
    stream = sys.stderr if options["form"] else sys.stdout
    return rich.console.Console(stderr=bool(options["form"]), width=None if stream.isatty() else 160)


def report(console: rich.console.Console, verb: str, result: Result, form: str | None, **more: Any) -> None:
    """Print what a run did.

    Args:
        console: Where people read.
        verb: What was asked for.
        result: What the run did.
        form: ``json`` for one document, ``jsonl`` for it as the last line.
        more: What such a document tells besides.
    """
    if form:
        document(form, {"verb": verb, **more, **dataclasses.asdict(result)})
        return
    table = rich.table.Table(rich.table.Column("host", overflow="fold"), "ok", "changed", "failed", "unreachable")
    for host, counts in sorted(result.hosts.items()):
        table.add_row(host, *(str(counts[key]) for key in ("ok", "changed", "failures", "unreachable")))
    if result.hosts:
        console.print(table)
    for failure in result.failures:
        console.print(f"{failure.host}: {failure.task}\n  {failure.message}", style="red", markup=False, highlight=False, soft_wrap=True)
    if any(failure.message.endswith(" is undefined") for failure in result.failures):
        console.print("Set it among the inventory's variables. With -v Ansible tells file and line that use it.", soft_wrap=True)
    for host, reason in sorted(result.unreachable.items()):
        console.print(f"{host} does not answer over ssh: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
    if result.unreachable:
        console.print("Try ssh by hand: address and user are in the inventory, host keys must be pinned. Then run this again.", soft_wrap=True)
    if result.status == "interrupted":
        helm = "; a helm that was cut off is repaired by it first" if verb in BY_HELM else ""
        console.print(f"What was done so far stays. The same command goes on from there{helm}.", soft_wrap=True)
    console.print(f"{verb}: {result.status}, {result.changed} changed, {result.duration:.0f} s", style="bold", soft_wrap=True)


def emit(event: Event) -> None:
    """Print an event as a line of JSON."""
    click.echo(json.dumps(event.told()))


def run(inventory: str | None, options: dict[str, Any], progress: Progress, work: Callable[..., Result]) -> Result:
    """Run a playbook with the options that all verbs have, and show how far it is.

    Args:
        inventory: As :class:`Alnair` takes it.
        options: What the options of :data:`RUNNING`, or of :data:`CHANGING`, say.
        progress: Shows it.
        work: Takes the cluster and the options of :meth:`Alnair.run`.

    Raises:
        click.UsageError: it cannot be run.
    """
    try:
        with said():
            cluster = Alnair(inventory)
            variables = extra_variables(options["extra"])
            if options["limit"] and cluster.matched(options["limit"]):
                progress.console.print(f"--limit {options['limit']} holds for the tasks on hosts; the cluster's tasks run all the same.", markup=False)
            # Differences are shown by ansible-playbook itself; to a program only the document tells them.
            verbosity = 0 if options["form"] else max(options["verbosity"], int(options.get("diff", False)))
            chosen: dict[str, Any] = {name: options[name] for name in ("check", "diff") if name in options}
            chosen["on_event"] = emit if options["form"] == "jsonl" else None
            return work(cluster, limit=options["limit"], extra_vars=variables, verbosity=verbosity, progress=progress, **chosen)
    finally:
        progress.end()


def perform(verb: str, inventory: str | None, options: dict[str, Any], **more: Any) -> None:
    """Run a method of :class:`Alnair` for the command line and exit with its code."""
    console = console_of(options)
    progress = Progress(console, quiet=options["verbosity"] > 0)
    result = run(inventory, options, progress, lambda cluster, **given: getattr(cluster, verb)(**given, **more))
    report(console, verb, result, options["form"])
    sys.exit(result.exit_code)
