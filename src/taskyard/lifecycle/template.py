"""What a template's files say: parse_template reads and checks all of them at once."""

import re
import tomllib
from collections.abc import Callable, Mapping

from taskyard.lifecycle.egress import is_limited, warnings_of
from taskyard.lifecycle.parameter import (
    ParameterRule,
    ParameterViolation,
    parameter_environment,
    validate_parameters,
)
from taskyard.lifecycle.quantity import DURATION_EXAMPLE, SIZE_EXAMPLE, parse_duration, parse_size
from taskyard.lifecycle.repository import branch_problem, url_problem
from taskyard.lifecycle.template_apps import read_apps, read_task
from taskyard.lifecycle.template_model import (
    ECHO_NAME,
    MAX_ICON_CHARS,
    TOML_NAME,
    Agent,
    AgentType,
    App,
    DriverName,
    Egress,
    Files,
    HealthCheck,
    Monotonic,
    Option,
    Parameter,
    Pause,
    Permissions,
    Preset,
    Problem,
    Scripts,
    Share,
    Template,
    TemplateInvalid,
    Transport,
    Workspace,
)
from taskyard.lifecycle.template_network import read_egress
from taskyard.lifecycle.template_parameters import read_parameters, read_presets
from taskyard.lifecycle.toml_lines import KeyLines, syntax_error_line
from taskyard.lifecycle.toml_table import Report, Table, nearest, nearest_of
from taskyard.lifecycle.walls import Backend, Overlay, Wall

__all__ = [
    "Agent",
    "AgentType",
    "App",
    "DriverName",
    "Egress",
    "Files",
    "HealthCheck",
    "Monotonic",
    "Option",
    "Parameter",
    "ParameterRule",
    "ParameterViolation",
    "Permissions",
    "Preset",
    "Problem",
    "Scripts",
    "Share",
    "Template",
    "TemplateInvalid",
    "Transport",
    "Workspace",
    "parameter_environment",
    "parse_template",
    "validate_parameters",
]

MAX_TOML_BYTES = 256 * 1024
"""Largest taskyard.toml: a page or two is usual, and parsing holds up everything else."""

MAX_DOTS = 1000
"""Dots in a line at most: tomllib needs minutes for a key of a hundred thousand parts."""

MAX_DESCRIPTION_CHARS = 127
"""Longest description of a template. Source: supporting-api 7."""

MAX_DISPLAY_NAME_CHARS = 64
"""Longest display name of a template. Source: supporting-api 7."""

RESERVED_PREFIX = "TASKYARD_"
"""Environment variables that begin so are set by the server and the workspace agent."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_template(files: Files) -> Template:
    """The template that these files are; raises TemplateInvalid with every problem found."""
    tree = {name.removeprefix("./"): content for name, content in files.items()}
    text = _text(tree)
    values = _values(text)
    report = Report(TOML_NAME, KeyLines(text))
    template = _template(Table(values, (), report), frozenset(tree))
    problems = report.problems()
    if problems:
        raise TemplateInvalid(problems)
    return template


def _text(tree: Mapping[str, bytes]) -> str:
    content = tree.get(TOML_NAME)
    if content is None:
        raise _invalid(None, _why_missing(tree))
    if len(content) > MAX_TOML_BYTES:
        raise _invalid(None, f"is {len(content)} bytes; {MAX_TOML_BYTES} is the most that is read")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _invalid(line, "is not UTF-8 text; save it as UTF-8") from error


def _why_missing(tree: Mapping[str, bytes]) -> str:
    """What to do about a template without its main file."""
    deeper = sorted(name for name in tree if name.endswith(f"/{TOML_NAME}"))
    if deeper:
        return f"is not at the top; found {deeper[0]}: pack what is in that folder, not the folder"
    if any(name.endswith((".tf", ".tf.json")) for name in tree):
        return "is missing; Terraform templates (*.tf) are not supported yet, write a taskyard.toml"
    return "is missing; a template is a directory with a taskyard.toml at its top"


def _values(text: str) -> dict[str, object]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MAX_DOTS:
            raise _invalid(number, f"has more than {MAX_DOTS} dots in one line")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid(syntax_error_line(str(error), text), f"is not TOML: {error}") from error
    except (RecursionError, ValueError) as error:
        raise _invalid(None, "is nested too deeply, or holds a number too long to read") from error


def _invalid(line: int | None, sentence: str) -> TemplateInvalid:
    return TemplateInvalid((Problem(TOML_NAME, "", line, sentence),))


def _template(root: Table, names: frozenset[str]) -> Template:
    about = root.table("template")
    task = read_task(root, read_apps(root))
    workspace = _workspace(root.table("workspace"), names)
    scripts = _scripts(root.table("scripts"), names)
    parameters = read_parameters(root)
    template = Template(
        display_name=about.text("display_name", max_chars=MAX_DISPLAY_NAME_CHARS) or "",
        description=about.text("description", max_chars=MAX_DESCRIPTION_CHARS) or "",
        icon=about.text("icon", max_chars=MAX_ICON_CHARS) or "",
        tags=about.table("tags").texts(),
        task_app=task.app,
        agent=task.agent,
        workspace=workspace,
        scripts=scripts,
        parameters=parameters,
        presets=read_presets(root, parameters),
        requires_env=task.requires_env,
        apps=task.apps,
        warnings=warnings_of(workspace.ways_out),
    )
    about.close()
    root.close()
    return template


def _workspace(table: Table, names: frozenset[str]) -> Workspace:
    driver = table.choice("driver", DriverName) or DriverName.SANDBOX
    if driver is DriverName.ECHO and ECHO_NAME not in names:
        table.problem(f"the echo driver plays {ECHO_NAME}, which is not in the template", "driver")
    network = table.table("network")
    ways_out = read_egress(network)
    workspace = Workspace(
        driver=driver,
        cpu=table.number("cpu"),
        memory_bytes=table.parsed("memory", parse_size, SIZE_EXAMPLE),
        processes=table.whole("processes", least=1),
        disk_bytes=table.parsed("disk", parse_size, SIZE_EXAMPLE),
        ttl_s=table.parsed("ttl", parse_duration, DURATION_EXAMPLE),
        wall_time_s=table.parsed("wall_time", parse_duration, DURATION_EXAMPLE),
        env=_environment(table.table("env")),
        repo=_checked(table, "repo", url_problem),
        branch=_checked(table, "branch", branch_problem),
        backend=table.choice("backend", Backend) or Backend.BWRAP,
        overlay=table.choice("overlay", Overlay) or Overlay.NONE,
        require=_walls(table),
        egress=[rule for rule in ways_out if not is_limited(rule)],
        egress_limited=[rule for rule in ways_out if is_limited(rule)],
        pause=table.choice("pause", Pause) or Pause.STOP,
    )
    network.close()
    table.close()
    return workspace


def _walls(table: Table) -> list[Wall]:
    """What the machine must have, each named once."""
    found: dict[Wall, None] = {}
    words = {str(wall): wall for wall in Wall}
    for word in table.words("require") or []:
        if word in words:
            found[words[word]] = None
        else:
            table.problem(
                f'"{word}" is nothing that can be demanded; {nearest(word, list(words))}', "require"
            )
    return list(found)


def _checked(table: Table, key: str, problem_of: Callable[[str], str | None]) -> str | None:
    """A text that keeps a rule; an empty one is none."""
    text = table.text(key) or None
    problem = None if text is None else problem_of(text)
    if problem is not None:
        table.problem(problem, key)
    return text


def _environment(table: Table) -> dict[str, str]:
    environment = table.texts()
    for name in environment:
        if not _VARIABLE.fullmatch(name):
            table.problem(f'"{name}" is no name for an environment variable', name)
        elif name.startswith(RESERVED_PREFIX):
            table.problem(f"names that begin with {RESERVED_PREFIX} are set by the server", name)
    return environment


def _scripts(table: Table, names: frozenset[str]) -> Scripts:
    scripts = Scripts(start=_script(table, "start", names), stop=_script(table, "stop", names))
    table.close()
    return scripts


def _script(table: Table, key: str, names: frozenset[str]) -> str | None:
    """The path of a script from the template's root."""
    given = table.text(key)
    if given is None:
        return None
    name = "/".join(part for part in given.split("/") if part not in {"", "."})
    if name not in names:
        close = nearest_of(name, sorted(names))
        hint = f'did you mean "{close}"?' if close else "add the file, or remove the key"
        table.problem(f'there is no file "{given}" in the template; {hint}', key)
    return name
