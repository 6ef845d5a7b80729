"""What a good taskyard.toml means."""

import msgspec
import pytest

from taskyard.lifecycle.template import (
    Agent,
    AgentType,
    App,
    DriverName,
    Egress,
    HealthCheck,
    Monotonic,
    Option,
    Permissions,
    Preset,
    Scripts,
    Share,
    Template,
    Transport,
    parse_template,
)
from taskyard.lifecycle.template_model import Pause
from taskyard.wire.enums import ParameterType

PAUSES = (b"", b'[workspace]\npause = "stop"\n', b'[workspace]\npause = "freeze"\n')

FULL = """
[template]
display_name = "Review"
description = "Reads a change."
icon = "/icon/review.svg"
tags = { size = "large" }

[task]
app = "agent"

[agent]
type = "custom"
transport = "auto"
command = ["my-agent", "--acp"]
permissions = "ask"

[workspace]
driver = "sandbox"
cpu = 2
memory = "1.5GiB"
processes = 512
disk = "10GiB"
ttl = "1h30m"

[workspace.env]
EDITOR = "true"

[workspace.network]
egress = ["API.example.org:443"]

[scripts]
start = "./bin/setup.sh"
stop = "save.sh"

[[parameter]]
name = "base-branch"
display_name = "Branch"
description = "Where the work starts."
default = "main"
mutable = true
validation = { regex = "^[a-z]+$", error = "small letters" }

[[parameter]]
name = "rounds"
type = "number"
default = 3
validation = { min = 1, max = 9, monotonic = "increasing" }

[[parameter]]
name = "dry"
type = "bool"
default = false
ephemeral = true

[[parameter]]
name = "areas"
type = "list(string)"
default = ["docs"]
options = ["docs", "code"]

[[parameter]]
name = "depth"
type = "number"
options = [{ value = 1, name = "Shallow", description = "quick" }, { value = 2 }]

[[preset]]
name = "Quick"
default = true
parameters = { rounds = 1, dry = true, areas = ["code"], depth = 1 }

[[app]]
slug = "web"
display_name = "Preview"
command = "exec ./serve"
url = "http://localhost:8000/start"
healthcheck = { url = "http://localhost:8000/ok", interval = 2, threshold = 4 }
share = "organization"

[[app]]
slug = "agent"
display_name = "Chat"
"""
FILES = {"bin/setup.sh": b"", "save.sh": b""}


def parse(toml: str, **files: bytes) -> Template:
    return parse_template({"taskyard.toml": toml.encode(), **FILES, **files})


def test_every_key_of_the_format_arrives() -> None:
    """Architecture section 3: sections other than parameters."""
    template = parse(FULL)
    assert (template.display_name, template.description) == ("Review", "Reads a change.")
    assert (template.icon, template.tags) == ("/icon/review.svg", {"size": "large"})
    assert template.agent == Agent(
        AgentType.CUSTOM, Transport.ACP, ["my-agent", "--acp"], Permissions.ASK
    )
    workspace = template.workspace
    assert (workspace.driver, workspace.cpu) == (DriverName.SANDBOX, 2.0)
    assert (workspace.memory_bytes, workspace.disk_bytes) == (1536 * 1024**2, 10 * 1024**3)
    assert (workspace.processes, workspace.ttl_s) == (512, 5400)
    assert workspace.env == {"EDITOR": "true"}
    assert workspace.egress == [Egress("api.example.org", 443)]
    assert template.scripts == Scripts("bin/setup.sh", "save.sh")


@pytest.mark.parametrize("kind", [kind for kind in AgentType if kind is not AgentType.CUSTOM])
def test_a_known_coding_agent_needs_no_command(kind: AgentType) -> None:
    """The type says what is run; auto stays open until the workspace knows which programs it has."""
    agent = parse(f'[task]\napp = "agent"\n[agent]\ntype = "{kind}"\n').agent
    assert agent is not None
    ours = kind is AgentType.SHELL
    assert agent.transport is (Transport.ACP if ours else Transport.AUTO)
    assert bool(agent.command) is ours
    assert (agent.permissions, agent.permission_timeout_s) == (Permissions.ALLOW, None)


@pytest.mark.parametrize(
    ("said", "transport", "command"),
    [
        ('type = "shell"\ntransport = "pty"', Transport.PTY, []),
        (
            'type = "claude"\ntransport = "pty"\ncommand = ["claude", "-x"]',
            Transport.PTY,
            ["claude", "-x"],
        ),
        ('type = "aider"\ntransport = "acp"\ncommand = ["wrap"]', Transport.ACP, ["wrap"]),
        ('type = "custom"\ncommand = ["mine"]', Transport.ACP, ["mine"]),
        ('type = "custom"\ntransport = "pty"\ncommand = ["mine"]', Transport.PTY, ["mine"]),
    ],
)
def test_a_template_chooses_command_and_transport(
    said: str, transport: Transport, command: list[str]
) -> None:
    """A program that nobody knows is taken at its word; a request for permission may have a time limit."""
    text = (
        f'[task]\napp = "agent"\n[agent]\n{said}\npermissions = "ask"\npermission_timeout = "15m"\n'
    )
    agent = parse(text).agent
    assert agent is not None
    assert (agent.transport, agent.command, agent.permission_timeout_s) == (transport, command, 900)


def test_parameters_and_presets_arrive_as_strings() -> None:
    """S12, S13: values travel as strings whatever TOML type they have."""
    template = parse(FULL)
    branch, rounds, dry, areas, depth = template.parameters
    assert (branch.type, branch.default, branch.form_type) == (
        ParameterType.STRING,
        "main",
        "input",
    )
    assert (branch.regex, branch.error, branch.mutable) == ("^[a-z]+$", "small letters", True)
    assert (rounds.default, rounds.minimum, rounds.maximum) == ("3", 1, 9)
    assert rounds.monotonic is Monotonic.INCREASING
    assert (dry.required, dry.ephemeral, dry.form_type) == (False, True, "checkbox")
    assert (areas.default, areas.form_type) == ('["docs"]', "multi-select")
    assert depth.options == [Option("Shallow", "1", "quick", ""), Option("2", "2", "", "")]
    values = {"rounds": "1", "dry": "true", "areas": '["code"]', "depth": "1"}
    assert template.presets == [Preset("Quick", "", "", True, values)]


def test_the_bridge_fills_in_the_app_that_it_serves() -> None:
    """An [[app]] with the task's slug and no command keeps its words and gets url and check."""
    web, agent = parse(FULL).apps
    check = HealthCheck("http://localhost:8000/ok", 2, 4)
    url = "http://localhost:8000/start"
    assert web == App("web", "Preview", "", url, "exec ./serve", check, Share.ORGANIZATION)
    assert (agent.display_name, agent.url, agent.command) == ("Chat", "http://127.0.0.1:3284", None)
    assert agent.healthcheck == HealthCheck("http://127.0.0.1:3284/status", 1, 3)


def test_a_task_needs_two_sections_only() -> None:
    """The shell agent: its command and its app fill in by themselves."""
    template = parse('[task]\napp = "agent"\n[agent]\ntype = "shell"\n')
    assert template.has_ai_task
    assert template.bridge_slug == template.task_app == "agent"
    assert template.agent is not None
    assert template.agent.command == ["python", "-P", "-m", "taskyard_agent.shell"]
    assert template.agent.permissions is Permissions.ALLOW
    assert [app.slug for app in template.apps] == ["agent"]
    assert template.workspace.driver is DriverName.SANDBOX
    assert template.workspace.memory_bytes is None


@pytest.mark.parametrize("agent", ["", '[agent]\ntype = "custom"\n'])
def test_a_server_of_the_users_own_takes_the_place_of_the_bridge(agent: str) -> None:
    """`[task] app` names an [[app]] with command and url; an [agent] of type custom says no more."""
    template = parse(
        f'[task]\napp = "mine"\n{agent}[[app]]\nslug = "mine"\ncommand = "./serve"\n'
        'url = "http://127.0.0.1:9000"\n'
    )
    assert template.has_ai_task
    assert template.agent is None
    assert template.bridge_slug is None
    assert template.apps[0].healthcheck is None


def test_a_start_script_may_start_the_task_s_app() -> None:
    """An app without command is somebody else's to start."""
    template = parse(
        '[task]\napp = "mine"\n[[app]]\nslug = "mine"\nurl = "http://localhost:9000"\n'
    )
    assert (template.task_app, template.bridge_slug) == ("mine", None)


def test_an_empty_file_is_a_template_for_plain_workspaces() -> None:
    """No [task]: no task can be made of it."""
    template = parse("")
    assert not template.has_ai_task
    assert (template.apps, template.parameters, template.warnings) == ([], [], [])


def test_a_pause_stops_unless_it_is_to_freeze() -> None:
    """The pause that frees memory is the default."""
    pauses = [parse_template({"taskyard.toml": text}).workspace.pause for text in PAUSES]
    assert pauses == [Pause.STOP, Pause.STOP, Pause.FREEZE]


def test_a_template_for_the_echo_driver_brings_its_script() -> None:
    """echo.json is the driver's to read."""
    toml = '[workspace]\ndriver = "echo"\n'
    template = parse_template({"taskyard.toml": toml.encode(), "echo.json": b"not read here"})
    assert template.workspace.driver is DriverName.ECHO


def test_names_from_an_archive_may_begin_with_a_dot_and_a_slash() -> None:
    """tar writes ./taskyard.toml."""
    files = {"./taskyard.toml": b'[scripts]\nstart = "a.sh"\n', "./a.sh": b""}
    assert parse_template(files).scripts.start == "a.sh"


def test_both_kinds_of_template_in_one_directory_is_ours() -> None:
    """taskyard.toml decides, whatever else lies there."""
    assert parse_template({"taskyard.toml": b"", "main.tf": b""}).task_app is None


def test_a_mark_and_line_ends_of_windows_are_read() -> None:
    """Editors there write both."""
    assert (
        parse_template({"taskyard.toml": b"\xef\xbb\xbf[template]\r\nicon = 'x'\r\n"}).icon == "x"
    )


def test_what_is_opened_on_purpose_is_a_warning() -> None:
    """Hosts of the internet are not worth a word; the server's own ports, and addresses of no internet, are."""
    assert parse(FULL).warnings == []
    listed = (
        '["a.example:1", "*.b.example:2", "localhost:4020", "169.254.169.254:80", "1.1.1.1:53"]'
    )
    template = parse(f"[workspace.network]\negress = {listed}\n")
    assert [warning.split()[2] for warning in template.warnings] == [
        "127.0.0.1:4020,",
        "169.254.169.254:80,",
    ]
    assert template.workspace.egress[1] == Egress("*.b.example", 2)


def test_a_template_survives_the_store() -> None:
    """The server keeps it as one JSON document a version."""
    template = parse(FULL)
    stored = msgspec.json.encode(template)
    assert msgspec.json.decode(stored, type=Template) == template
