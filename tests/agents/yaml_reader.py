"""Reads the small part of YAML that the bridge writes."""

import json


def read_yaml(text: str) -> object:
    """The data of a document of block mappings, block lists and JSON scalars."""
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines()]
    value, rest = _block(lines)
    assert not rest, rest
    return value


def _block(lines: list[tuple[int, str]]) -> tuple[object, list[tuple[int, str]]]:
    """The value that begins at the first line, and the lines after it."""
    indent = lines[0][0]
    found: list[tuple[str, object]] = []
    is_list = lines[0][1].split(" ")[0] == "-"
    while lines and lines[0][0] == indent and (lines[0][1].split(" ")[0] == "-") == is_list:
        key, value = _cut(lines[0][1])
        lines = lines[1:]
        if value:
            found.append((key, json.loads(value)))
        else:
            assert lines[0][0] > indent, key
            inner, lines = _block(lines)
            found.append((key, inner))
    assert not lines or lines[0][0] < indent, lines[0]
    if is_list:
        return [value for _, value in found], lines
    assert len({key for key, _ in found}) == len(found)
    return dict(found), lines


def _cut(line: str) -> tuple[str, str]:
    """Key and rest of a line; a list's entry has the key `-`."""
    if line == "-" or line.startswith("- "):
        return "-", line[2:]
    if line.startswith('"'):
        key, end = json.JSONDecoder().raw_decode(line)
    else:
        end = line.index(":")
        key = line[:end]
    assert line[end] == ":"
    return key, line[end + 1 :].strip()
