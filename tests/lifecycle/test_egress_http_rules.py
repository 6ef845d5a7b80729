"""Which requests of plain HTTP a template's entries let through, and how entries with methods and paths are written."""

import pytest

from taskyard.lifecycle.egress import (
    Reason,
    Refusal,
    judge_bytes,
    read_rule,
    read_target,
    warnings_of,
)
from taskyard.lifecycle.egress_http import judge_request, origin_form
from taskyard.lifecycle.template import Egress, TemplateInvalid, parse_template

RULES = [
    Egress("store.example", 80, ["GET", "HEAD"], ["/index", "/a/b/"]),
    Egress("store.example", 80, ["POST"], ["/upload"]),
    Egress("*.store.example", 80, ["GET"], None),
    Egress("paths.example", 80, None, ["/%E2%82%AC"]),
    Egress("both.example", 80, ["GET"], ["/x"]),
    read_rule("both.example:80"),
]


def judged(method: str, path: str, host: str = "store.example") -> object:
    """What is sent for a request, or why it is not."""
    found = judge_request(read_target(f"{host}:80"), RULES, method, path)
    return found.reason if isinstance(found, Refusal) else found.sent_as


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "/index", "/index"),
        ("HEAD", "/index/", "/index/"),
        ("GET", "/index/x?y=../..", "/index/x?y=../.."),
        ("GET", "/%69ndex/%7ex%2B%e2%82%ac", "/index/~x%2B%E2%82%AC"),
        ("GET", "/a/b/c", "/a/b/c"),
        ("GET", "/a/b/", "/a/b/"),
        ("POST", "/upload", "/upload"),
    ],
)
def test_listed_requests_go_on(method: str, path: str, sent: str) -> None:
    """By whole folders, with what was encoded without need written out; the query as it came."""
    assert judged(method, path) == sent


@pytest.mark.parametrize(
    ("method", "path", "why"),
    [
        ("GET", "/indexes", Reason.PATH_NOT_LISTED),
        ("GET", "/Index", Reason.PATH_NOT_LISTED),
        ("GET", "/", Reason.PATH_NOT_LISTED),
        ("GET", "/a/b", Reason.PATH_NOT_LISTED),
        ("GET", "*", Reason.PATH_NOT_LISTED),
        ("GET", "/upload", Reason.PATH_NOT_LISTED),
        ("POST", "/index", Reason.PATH_NOT_LISTED),
        ("PUT", "/index", Reason.METHOD_NOT_LISTED),
        ("get", "/index", Reason.METHOD_NOT_LISTED),
        *(
            ("GET", f"/index{rest}", Reason.PATH_UNCLEAR)
            for rest in (
                *("/../x", "/..", "/./x", "/%2e%2e/x", "/.%2E/x", "/%252e%252e/x", "//x", "/..;/x"),
                *("/%2fx", "/%2F..", "/\\..\\x", "/%5c..", "/%00", "/%0d%0a", "/%7f", "/%", "/%4"),
                *("/%zz", "/x;y", "/%3bx", "/x#y", "/%u002e"),
            )
        ),
        ("GET", "//index", Reason.PATH_UNCLEAR),
        ("GET", "/%2e%2e/index", Reason.PATH_UNCLEAR),
    ],
)
def test_other_requests_do_not(method: str, path: str, why: Reason) -> None:
    """Methods and paths that no one entry allows together; paths that servers may read in two ways."""
    assert judged(method, path) == why


def test_entries_add_up() -> None:
    """One without methods and paths lets everything through; one without paths any of them, as it came."""
    assert judged("DELETE", "/any/../thing", "both.example") == "/any/../thing"
    assert judged("GET", "/any/..//%2f", "x.store.example") == "/any/..//%2f"
    assert judged("PUT", "/x", "x.store.example") is Reason.METHOD_NOT_LISTED
    assert judged("BREW", "/%e2%82%ac/x", "paths.example") == "/%E2%82%AC/x"
    assert judged("GET", "/", "example.org") is Reason.HOST_NOT_LISTED


def test_bytes_need_an_entry_of_their_own() -> None:
    """A place that is listed with methods or paths takes no tunnel."""
    refusal = judge_bytes(read_target("store.example:80"), RULES)
    assert refusal is not None
    assert refusal.reason is Reason.HTTP_ONLY
    assert judge_bytes(read_target("both.example:80"), RULES) is None


@pytest.mark.parametrize(
    ("host", "asked", "path"),
    [
        ("store.example", "/x?y", "/x?y"),
        ("STORE.example.:80", "/", "/"),
        ("store.example:", "*", "*"),
        ("store.example", "http://Store.Example:80/x", "/x"),
        ("store.example", "HTTP://store.example", "/"),
        ("store.example", "http://store.example?x", "/?x"),
    ],
)
def test_requests_to_the_target(host: str, asked: str, path: str) -> None:
    """In both forms, in any spelling of the same place."""
    assert origin_form(read_target("store.example:80"), host, asked) == path


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("evil.example", "/"),
        ("store.example:81", "/"),
        ("store.example@evil.example", "/"),
        ("store.example, evil.example", "/"),
        ("", "/"),
        ("store.example", "http://evil.example/"),
        ("evil.example", "http://store.example/"),
        ("store.example", "http://store.example@evil.example/"),
        ("store.example", "http://store.example:8080/"),
        ("store.example", "https://store.example/"),
        ("store.example", "store.example:80"),
        ("store.example", "x"),
        ("store.example", "http:///x"),
    ],
)
def test_requests_to_somebody_else(host: str, asked: str) -> None:
    """Host and address are both the target, or the request does not go on."""
    with pytest.raises(ValueError):
        origin_form(read_target("store.example:80"), host, asked)


def read(entry: str) -> list[Egress]:
    """What a template lists with this entry."""
    text = f"[workspace.network]\negress = [{entry}]\n"
    return parse_template({"taskyard.toml": text.encode()}).workspace.ways_out


def test_entries_are_texts_or_tables() -> None:
    """A table says the same as a text, and may say which requests."""
    assert read('"a.example:80", {host = "B.example", port = 81}') == [
        Egress("a.example", 80),
        Egress("b.example", 81),
    ]
    entry = '{host = "::1", port = 8080, methods = ["GET"], paths = ["/", "/%7ea"]}'
    assert read(entry) == [Egress("::1", 8080, ["GET"], ["/", "/~a"])]
    assert read('{host = "*.c.example", port = 80}') == [Egress("*.c.example", 80)]


def test_limited_entries_have_a_list_of_their_own() -> None:
    """A server that knows no methods and paths does not see them, and so opens nothing: it never opens more."""
    entries = '"a.example:80", {host = "b.example", port = 80, paths = ["/x"]}'
    text = f"[workspace.network]\negress = [{entries}]\n"
    found = parse_template({"taskyard.toml": text.encode()}).workspace
    assert found.egress == [Egress("a.example", 80)]
    assert found.egress_limited == [Egress("b.example", 80, None, ["/x"])]


@pytest.mark.parametrize(
    ("entry", "key", "said"),
    [
        ("{port = 80}", "[0]", '"host" is missing'),
        ('{host = "a"}', "[0]", '"port" is missing'),
        ('{host = "a", port = 0}', "[0].port", "between 1"),
        ('{host = "a", port = 70000}', "[0].host", "from 1 to 65535"),
        ('{host = "127.1", port = 80}', "[0].host", "four numbers"),
        ('{host = "a", port = 80, method = ["GET"]}', "[0].method", 'did you mean "methods"'),
        ('{host = "a", port = 80, methods = "GET"}', "[0].methods", "a list of strings"),
        ('{host = "a", port = 80, methods = []}', "[0].methods", "would allow nothing"),
        ('{host = "a", port = 80, methods = ["get"]}', "[0].methods", "capital letters"),
        ('{host = "a", port = 80, methods = ["CONNECT"]}', "[0].methods", "tunnels"),
        ('{host = "a", port = 80, paths = ["x"]}', "[0].paths", "begins with /"),
        ('{host = "a", port = 80, paths = ["/x?y"]}', "[0].paths", "no query"),
        ('{host = "a", port = 80, paths = ["/x/../y"]}', "[0].paths", "for a folder"),
        ('{host = "a", port = 80, paths = ["/%2f"]}', "[0].paths", "encoded"),
        ("1", "[0]", "a string or a table"),
    ],
)
def test_a_wrong_entry_is_named(entry: str, key: str, said: str) -> None:
    """By its place in the list and its key, with the nearest key that there is."""
    with pytest.raises(TemplateInvalid) as caught:
        read(entry)
    [problem] = caught.value.problems
    assert problem.key == f"workspace.network.egress{key}"
    assert said in problem.sentence


def test_methods_where_everybody_speaks_tls_are_warned_of() -> None:
    """As TLS is refused by such an entry."""
    rules = [Egress("a.example", 443, ["GET"]), Egress("a.example", 80, ["GET"])]
    assert len(warnings_of(rules)) == 1
