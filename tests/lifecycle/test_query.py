"""The language of the `q` parameter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.lifecycle.search import QueryRule, QueryViolation, explain, parse_query

TASKS = ("owner", "organization", "status")


def parsed(q: str) -> dict[str, str] | list[QueryViolation]:
    return parse_query(q, TASKS, "owner")


@pytest.mark.parametrize(
    ("q", "values"),
    [
        ("", {}),
        ("   ", {}),
        ("owner:me", {"owner": "me"}),
        ('owner:"me"', {"owner": "me"}),
        ("me", {"owner": "me"}),
        ("Owner:ME Status:Active", {"owner": "me", "status": "active"}),
        ('owner:"me" organization:"x y" status:"active"', {
            "owner": "me",
            "organization": "x y",
            "status": "active",
        }),
        ("owner:me, status:active", {"owner": "me", "status": "active"}),
        ('owner:"me", status:"active"', {"owner": "me", "status": "active"}),
        ("ada  lovelace", {"owner": "ada lovelace"}),
        ('"ada  lovelace"', {"owner": "ada  lovelace"}),
        ('owner:"a:b"', {"owner": "a:b"}),
        ('owner:""', {}),
        ('owner:"open end', {"owner": "open end"}),
        (",", {}),
    ],
)  # fmt: skip
def test_a_query_gives_its_keys(q: str, values: dict[str, str]) -> None:
    """T46, section 8.1: case, quotes, bare words, and the comma that one client puts between."""
    assert parsed(q) == values


@pytest.mark.parametrize(
    ("q", "violations"),
    [
        (":x", [QueryViolation("q", QueryRule.EDGE_COLON, ":x")]),
        ("x:", [QueryViolation("q", QueryRule.EDGE_COLON, "x:")]),
        (":", [QueryViolation("q", QueryRule.EDGE_COLON, ":")]),
        ("a:b:c", [QueryViolation("q", QueryRule.MANY_COLONS, "a:b:c")]),
        ("foo:bar", [QueryViolation("foo", QueryRule.UNKNOWN_KEY, "foo")]),
        ("owner:a owner:b", [QueryViolation("owner", QueryRule.REPEATED_KEY, "2")]),
        ("a owner:b", [QueryViolation("owner", QueryRule.REPEATED_KEY, "2")]),
        (
            "x: foo:bar status:a status:b",
            [
                QueryViolation("q", QueryRule.EDGE_COLON, "x:"),
                QueryViolation("foo", QueryRule.UNKNOWN_KEY, "foo"),
                QueryViolation("status", QueryRule.REPEATED_KEY, "2"),
            ],
        ),
    ],
)
def test_a_malformed_query_names_everything_wrong(q: str, violations: list[QueryViolation]) -> None:
    """T48: each with the field that the wire shows."""
    assert parsed(q) == violations


def test_every_rule_has_a_sentence() -> None:
    """A person reads what to write instead."""
    sentences = {explain(QueryViolation("q", rule, "x"), TASKS) for rule in QueryRule}
    assert len(sentences) == len(QueryRule)


@given(st.text())
def test_any_text_is_parsed_or_refused(q: str) -> None:
    """Total: values are never empty and keys are always known, else there is a reason."""
    found = parsed(q)
    if isinstance(found, dict):
        assert set(found) <= set(TASKS)
        assert all(found.values())
    else:
        assert found


words = st.text(st.characters(categories=["Ll", "Nd"], max_codepoint=0x24F), min_size=1)


@given(st.dictionaries(st.sampled_from(TASKS), words), st.booleans(), st.sampled_from([" ", ", "]))
def test_what_clients_write_comes_back(
    values: dict[str, str],
    quoted: bool,  # noqa: FBT001 - drawn by hypothesis
    separator: str,
) -> None:
    """Section 1 and 5 of the clients: with or without quotes, blank or comma and blank between."""
    mark = '"' if quoted else ""
    q = separator.join(f"{key}:{mark}{value}{mark}" for key, value in values.items())
    assert parsed(q) == {key: value.lower() for key, value in values.items()}
