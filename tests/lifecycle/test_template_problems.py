"""What a bad template gets: every problem at once, with its key, its line and the way out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.lifecycle.template import Problem, TemplateInvalid, parse_template

APP = '[[app]]\nslug = "a"\nurl = "http://localhost:1"\n'
TASK = '[task]\napp = "agent"\n[agent]\ntype = "shell"\n'


def problems(toml: str | bytes | None, *others: str) -> tuple[Problem, ...]:
    files = dict.fromkeys(others, b"")
    if toml is not None:
        files["taskyard.toml"] = toml.encode() if isinstance(toml, str) else toml
    with pytest.raises(TemplateInvalid) as caught:
        parse_template(files)
    return caught.value.problems


def only(toml: str | bytes | None, *others: str) -> Problem:
    (problem,) = problems(toml, *others)
    return problem


@pytest.mark.parametrize(
    ("toml", "key", "line", "said"),
    [
        ('[tempalte]\nicon = ""\n', "tempalte", 1, '"template"'),
        ("[workspace]\n\nmemroy = 3\n", "workspace.memroy", 3, '"memory"'),
        ("[workspace.netwrk]\negress = []\n", "workspace.netwrk", 1, '"network"'),
        ("[workspace]\nzzzz = 1\n", "workspace.zzzz", 2, "driver, network, cpu"),
        ('[[app]]\nslug = "a"\nulr = "x"\nurl = "http://localhost"\n', "app[0].ulr", 3, '"url"'),
        ("[template]\ndisplay_name = 3\n", "template.display_name", 2, "a string"),
        ('[template]\ntags = ["x"]\n', "template.tags", 2, "a table"),
        ("[template]\ntags = { a = 1 }\n", "template.tags.a", 2, "a string"),
        ('[template]\nicon = "a\\u0000"\n', "template.icon", 2, "NUL"),
        (f'[template]\ndisplay_name = "{"x" * 65}"\n', "template.display_name", 2, "64"),
        (f'[template]\ndescription = "{"x" * 128}"\n', "template.description", 2, "127"),
        ("template = 3\n", "template", 1, "a table"),
        ("parameter = 3\n", "parameter", 1, "[[parameter]]"),
        ("parameter = [3]\n", "parameter[0]", 1, "a table"),
        ('[workspace]\ndriver = "docker"\n', "workspace.driver", 2, "sandbox, echo"),
        ('[workspace]\ndriver = "sandbix"\n', "workspace.driver", 2, '"sandbox"'),
        ('[workspace]\npause = "freze"\n', "workspace.pause", 2, '"freeze"'),
        ('[workspace]\ndriver = "echo"\n', "workspace.driver", 2, "echo.json"),
        ('[workspace]\nmemory = "4GB"\n', "workspace.memory", 2, "GiB"),
        ('[workspace]\nmemory = "0GiB"\n', "workspace.memory", 2, "GiB"),
        ("[workspace]\nmemory = 4\n", "workspace.memory", 2, "a string"),
        ('[workspace]\ndisk = "much"\n', "workspace.disk", 2, "GiB"),
        ('[workspace]\nttl = "8 hours"\n', "workspace.ttl", 2, '"8h"'),
        ('[workspace]\nttl = ""\n', "workspace.ttl", 2, '"8h"'),
        ("[workspace]\ncpu = 0\n", "workspace.cpu", 2, "above 0"),
        ("[workspace]\ncpu = nan\n", "workspace.cpu", 2, "above 0"),
        ("[workspace]\ncpu = true\n", "workspace.cpu", 2, "a number"),
        ("[workspace]\nprocesses = 0\n", "workspace.processes", 2, "between 1"),
        ("[workspace]\nprocesses = true\n", "workspace.processes", 2, "a whole number"),
        ("[workspace]\nprocesses = 1979-05-27\n", "workspace.processes", 2, "a date"),
        ("[workspace.env]\nA = 1\n", "workspace.env.A", 2, "a string"),
        ('[workspace.env]\n"A B" = "x"\n', "workspace.env.A B", 2, "no name"),
        ('[workspace.env]\nTASKYARD_URL = "x"\n', "workspace.env.TASKYARD_URL", 2, "the server"),
        ('[workspace.network]\negress = ["x"]\n', "workspace.network.egress", 2, "example.org:443"),
        ('[workspace.network]\negress = ["x:0"]\n', "workspace.network.egress", 2, "x:0"),
        (
            '[workspace.network]\negress = ["127.1:80"]\n',
            "workspace.network.egress",
            2,
            "four numbers",
        ),
        ('[workspace.network]\negress = ["*:443"]\n', "workspace.network.egress", 2, "no name"),
        ("[workspace.network]\negress = [1]\n", "workspace.network.egress[0]", 2, "a string or a"),
        ('[scripts]\nstart = "setpu.sh"\n', "scripts.start", 2, '"setup.sh"'),
        ('[scripts]\nstop = "../setup.sh"\n', "scripts.stop", 2, "no file"),
        ('[scripts]\nstart = "sub"\n', "scripts.start", 2, "no file"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_line(
    toml: str, key: str, line: int, said: str
) -> None:
    """Each kind of mistake: one problem, where it stands, and what would be right."""
    problem = only(toml, "setup.sh", "sub/a.txt")
    assert (problem.file, problem.key, problem.line) == ("taskyard.toml", key, line)
    assert said in problem.sentence


@pytest.mark.parametrize(
    ("toml", "key", "line", "said"),
    [
        ("[task]\n", "task", 1, '"app" is missing'),
        ('[task]\napp = ""\n[agent]\ntype = "shell"\n', "task.app", 2, "empty"),
        ('[task]\napp = "agent"\n', "task.app", 2, "[agent]"),
        (
            '[task]\napp = "agnt"\n[[app]]\nslug = "agent"\nurl = "http://localhost:1"\n',
            "task.app",
            2,
            '"agent"',
        ),
        ('[agent]\ntype = "shell"\n', "agent", 1, "[task]"),
        ('[task]\napp = "agent"\n[agent]\n', "agent", 3, "shell, claude"),
        ('[task]\napp = "agent"\n[agent]\ntype = "cluade"\n', "agent.type", 4, '"claude"'),
        ('[task]\napp = "agent"\n[agent]\ntype = "emacs"\n', "agent.type", 4, "known here: shell"),
        ('[task]\napp = "agent"\n[agent]\ntype = "shall"\n', "agent.type", 4, '"shell"'),
        ('[task]\napp = "agent"\n[agent]\ntype = "custom"\n', "agent", 3, "command"),
        (
            '[task]\napp = "agent"\n[agent]\ntype = "custom"\ncommand = []\n',
            "agent.command",
            5,
            "program",
        ),
        (
            '[task]\napp = "agent"\n[agent]\ntype = "custom"\ncommand = "x"\n',
            "agent.command",
            5,
            "a list",
        ),
        (f'{TASK}command = ["x"]\n', "agent.command", 5, "brings its own"),
        (f'{TASK}transport = "ptty"\n', "agent.transport", 5, '"pty"'),
        (f'{TASK}permission_timeout = "soon"\n', "agent.permission_timeout", 5, '"1h30m"'),
        (
            '[task]\napp = "agent"\n[agent]\ntype = "aider"\ntransport = "acp"\n',
            "agent.transport",
            5,
            "aider has no ACP",
        ),
        (f'{TASK}permissions = "alow"\n', "agent.permissions", 5, '"allow"'),
        (
            f'{TASK}[[app]]\nslug = "agent"\ncommand = "x"\nurl = "http://localhost:1"\n',
            "app[0].command",
            7,
            "remove one",
        ),
        ("[[app]]\n", "app[0]", 1, None),
        ('[[app]]\nurl = "http://localhost:1"\n', "app[0]", 1, '"slug" is missing'),
        ('[[app]]\nslug = "a"\n', "app[0]", 1, '"url" is missing'),
        ('[[app]]\nslug = "A_b"\nurl = "http://localhost:1"\n', "app[0].slug", 2, "small letters"),
        ('[[app]]\nslug = "a"\nurl = "https://example.org"\n', "app[0].url", 3, "loopback"),
        ('[[app]]\nslug = "a"\nurl = "http://localhost:70000"\n', "app[0].url", 3, "loopback"),
        ('[[app]]\nslug = "a"\nurl = 3\n', "app[0].url", 3, "a string"),
        (
            '[[app]]\nslug = "a"\nurl = "http://localhost:1"\nshare = "all"\n',
            "app[0].share",
            4,
            "owner",
        ),
        (
            '[[app]]\nslug = "a"\nurl = "http://localhost:1"\ncommand = ""\n',
            "app[0].command",
            4,
            "empty",
        ),
        (
            '[[app]]\nslug = "a"\nurl = "http://localhost:1"\nhealthcheck = { interval = 1 }\n',
            "app[0].healthcheck",
            4,
            '"url" is missing',
        ),
        (
            f'{APP}[app.healthcheck]\nurl = "http://localhost:1/x"\ninterval = 0\n',
            "app[0].healthcheck.interval",
            6,
            "between 1",
        ),
        (
            f"{APP}{APP}",
            "app[1].slug",
            5,
            "two apps",
        ),
    ],
)
def test_a_task_that_nothing_could_run_is_refused(
    toml: str, key: str, line: int, said: str | None
) -> None:
    """[task], [agent] and [[app]] must fit together; each case says how."""
    found = problems(toml)
    assert (found[0].key, found[0].line) == (key, line)
    if said is not None:
        assert said in found[0].sentence
        assert len(found) == 1


def parameter(rest: str) -> str:
    return f'[[parameter]]\nname = "size"\n{rest}\n'


@pytest.mark.parametrize(
    ("toml", "key", "line", "said"),
    [
        ('[[parameter]]\ntype = "bool"\n', "parameter[0]", 1, '"name" is missing'),
        ('[[parameter]]\nname = "a/b"\n', "parameter[0].name", 2, "letters"),
        (parameter('type = "strng"'), "parameter[0].type", 3, '"string"'),
        (parameter("default = 3"), "parameter[0].default", 3, "string"),
        (parameter('type = "number"\ndefault = 1.5'), "parameter[0].default", 4, "whole numbers"),
        (parameter('type = "number"\ndefault = true'), "parameter[0].default", 4, "whole numbers"),
        (parameter('type = "bool"\ndefault = "true"'), "parameter[0].default", 4, "true or false"),
        (parameter('type = "list(string)"\ndefault = [1]'), "parameter[0].default", 4, "lists"),
        (
            parameter('type = "number"\ndefault = 1\n[parameter.validation]\nmin = 2'),
            "parameter[0].default",
            4,
            "less than 2",
        ),
        (
            parameter('type = "number"\nvalidation = { min = 3, max = 2 }'),
            "parameter[0].validation",
            4,
            "above max",
        ),
        (parameter("validation = { min = 1 }"), "parameter[0].validation.min", 3, "number"),
        (
            parameter('type = "bool"\nvalidation = { regex = "x" }'),
            "parameter[0].validation.regex",
            4,
            "string",
        ),
        (parameter('validation = { regex = "(" }'), "parameter[0].validation.regex", 3, "pattern"),
        (parameter("validation = { regex = '(?=a)' }"), "parameter[0].validation.regex", 3, "(?="),
        (parameter("ephemeral = true"), "parameter[0].ephemeral", 3, "default"),
        (
            parameter('type = "number"\nvalidation = { monotonic = "up" }'),
            "parameter[0].validation.monotonic",
            4,
            "increasing",
        ),
        (
            parameter('validation = { monotonic = "increasing" }'),
            "parameter[0].validation.monotonic",
            3,
            "number",
        ),
        (parameter("validation = { mni = 1 }"), "parameter[0].validation.mni", 3, '"min"'),
        (parameter("options = 3"), "parameter[0].options", 3, "a list"),
        (parameter("options = [1]"), "parameter[0].options", 3, "strings"),
        (parameter('options = ["a", "a"]'), "parameter[0].options", 3, "twice"),
        (parameter('options = [{ name = "a" }]'), "parameter[0].options[0]", 3, "value"),
        (parameter('options = ["a"]\ndefault = "b"'), "parameter[0].default", 4, '"a"'),
        (parameter('mutable = "yes"'), "parameter[0].mutable", 3, "true or false"),
        (
            parameter("") + '[[parameter]]\nname = "SIZE"\n',
            "parameter[1].name",
            5,
            "TASKYARD_PARAMETER_SIZE",
        ),
        ("[[preset]]\n", "preset[0]", 1, '"name" is missing'),
        (
            parameter("") + '[[preset]]\nname = "p"\nparameters = { siz = "x" }\n',
            "preset[0].parameters.siz",
            6,
            '"size"',
        ),
        (
            parameter("") + '[[preset]]\nname = "p"\n[preset.parameters]\nsize = 3\n',
            "preset[0].parameters.size",
            7,
            "string",
        ),
        (
            parameter('options = ["a"]') + '[[preset]]\nname = "p"\nparameters = { size = "b" }\n',
            "preset[0].parameters.size",
            6,
            "none of its options",
        ),
        ('[[preset]]\nname = "p"\n[[preset]]\nname = "p"\n', "preset[1].name", 4, "two presets"),
        (
            '[[preset]]\nname = "p"\ndefault = true\n[[preset]]\nname = "q"\ndefault = true\n',
            "preset[1].default",
            6,
            "default already",
        ),
    ],
)
def test_a_wrong_parameter_or_preset_is_refused(toml: str, key: str, line: int, said: str) -> None:
    """S12, S13: rules that fit their type, defaults and presets that keep them."""
    problem = only(toml)
    assert (problem.key, problem.line) == (key, line)
    assert said in problem.sentence


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), "a directory with a taskyard.toml"),
        (("main.tf", "README.md"), "Terraform"),
        (("main.tf.json",), "Terraform"),
        (("mine/taskyard.toml", "mine/a.sh"), "mine/taskyard.toml"),
    ],
)
def test_an_archive_without_its_main_file_is_told_what_to_do(
    files: tuple[str, ...], said: str
) -> None:
    """Missing, one folder too deep, or another kind of template."""
    problem = only(None, *files)
    assert (problem.file, problem.key, problem.line) == ("taskyard.toml", "", None)
    assert said in problem.sentence


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        (b'[task]\napp = "x\n', 2),
        (b"[task]\n[task]\n", 2),
        (b"[task]\napp = '''x\n\n", 4),
        (b"a = 1\nb = 'x\xff'\n", 2),
        (b"a = " + b"[" * 5000, None),
        (b"a = " + b"1" * 5000, None),
        (b"a = 1\n" + b"a." * 50_000 + b"a = 1", 2),
        (b"#" * 300_000, None),
    ],
)
def test_what_is_not_toml_is_one_problem_of_the_file(toml: bytes, line: int | None) -> None:
    """Syntax, encoding, and texts made to choke a parser."""
    problem = only(toml)
    assert (problem.key, problem.line) == ("", line)


def test_everything_wrong_is_said_at_once_in_file_order() -> None:
    """A person fixes all of it in one go; the error's text has one line for each."""
    toml = (
        '[workspace]\nmemory = "x"\nfoo = 1\n\n[scripts]\nstart = "gone"\n'
        '[template]\nicon = """\nmemory = 1\n"""\ncolour = 1\n'
    )
    with pytest.raises(TemplateInvalid) as caught:
        parse_template({"taskyard.toml": toml.encode()})
    keys = [(problem.line, problem.key) for problem in caught.value.problems]
    assert keys == [
        (2, "workspace.memory"),
        (3, "workspace.foo"),
        (6, "scripts.start"),
        (11, "template.colour"),
    ]
    lines = str(caught.value).splitlines()
    assert lines[2].startswith("taskyard.toml:6: scripts.start: ")
    assert len(lines) == 4


def test_a_flood_of_problems_is_cut() -> None:
    """A hundred are enough."""
    assert len(problems("".join(f"k{number} = 1\n" for number in range(500)))) == 100


def test_an_unknown_agent_type_is_not_blamed_twice() -> None:
    """The app that the bridge would serve is not also missing its url."""
    toml = '[task]\napp = "agent"\n[agent]\ntype = "cluade"\n[[app]]\nslug = "agent"\n'
    assert only(toml).key == "agent.type"


SECTIONS = "template task agent workspace scripts parameter preset app env network"
KEYS = "name type app slug url options default validation egress ttl command healthcheck"
keys = st.sampled_from([*SECTIONS.split(), *KEYS.split()])
scalars = st.sampled_from(['"x"', "1", "1.5", "true", "[]", '["a"]', "{}", "1979-05-27", "[{}]"])
lines = st.one_of(
    st.builds("[{}]".format, keys),
    st.builds("[[{}]]".format, keys),
    st.builds("{} = {}".format, keys, scalars),
    st.builds("{}.{} = {}".format, keys, keys, scalars),
)


@given(st.lists(lines, max_size=12))
def test_no_file_makes_the_parser_fall_over(given_lines: list[str]) -> None:
    """A template or problems with a sentence each, nothing else, whatever stands where."""
    try:
        parse_template({"taskyard.toml": "\n".join(given_lines).encode()})
    except TemplateInvalid as error:
        found = error.problems
    else:
        return
    assert found
    assert all(problem.sentence for problem in found)
