"""Archives that are made to cost the server time: each is refused with little effort, a name like a novel too."""

import tarfile

import pytest

from taskyard.control.archives import read_archive, tar_to_zip
from taskyard.errors.templates import ArchiveInvalid
from tests.effort import costs_at_most

MOST_TIMES = 50
"""What refusing any of these costs at most, in readings of harmless files that fill an archive of that size.
The dearest costs 10; digits and folders that are not counted cost more than 10,000."""


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", size: int | None = None
) -> bytes:
    """An entry as it stands in a tar, whatever it says of its size."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def archive(*entries: bytes) -> bytes:
    """A tar of these entries."""
    return b"".join(entries) + bytes(2 * tarfile.BLOCKSIZE)


def refused(*entries: bytes) -> str:
    """What is said of an archive of these entries, that is read neither for a template nor for a zip."""
    hostile = archive(*entries)
    harmless = archive(
        *[
            entry(f"f{n}", content=b"x" * (len(each) - tarfile.BLOCKSIZE))
            for n, each in enumerate(entries)
        ]
    )
    said = []

    def refuse() -> None:
        with pytest.raises(ArchiveInvalid) as caught:
            read_archive(hostile)
        with pytest.raises(ArchiveInvalid):
            tar_to_zip(hostile)
        said.append(str(caught.value))

    costs_at_most(MOST_TIMES, refuse, lambda: (read_archive(harmless), tar_to_zip(harmless)))
    return said[0]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE])
@pytest.mark.attack(
    "A tar whose extended header is all digits, on which readers spend hours",
    wall="headers are looked at before they are read",
)
def test_digits_in_an_extended_header(kind: bytes) -> None:
    """A header of nothing but digits is not searched from each of them to the end."""
    refused(entry("x", kind, b"1" * 100_000), entry("a"))


def test_digits_behind_an_extended_header() -> None:
    """What fills up a block counts as much as what is in it."""
    header = entry("x", tarfile.XHDTYPE, b"1" * 512, size=1)
    refused(*[header + entry(f"f{n}") for n in range(100)])


@pytest.mark.attack("A tar of nothing but extended headers", wall="a bound for all of them")
def test_extended_headers_without_end() -> None:
    """What stands about entries beside their content is little altogether."""
    comment = b"99999 comment=" + b"x" * 99_984 + b"\n"
    refused(*[entry("x", tarfile.XHDTYPE, comment) + entry(f"f{n}") for n in range(90)])


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_name_of_very_many_folders(kind: bytes) -> None:
    """A name is short, so that its folders can be looked at; what is said of it is short too."""
    name = b"a/" * 50_000
    record = b"100012 path=" + name
    said = refused(entry("x", kind, name if kind == b"L" else record + b"\n"), entry("a"))
    assert len(said) < 500


def test_a_part_of_a_name_that_no_file_can_have() -> None:
    """A file that no workspace could hold is refused before one is made."""
    refused(entry("x", tarfile.GNUTYPE_LONGNAME, b"y" * 256 + b"\0"), entry("a"))


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_negative_size(kind: bytes) -> None:
    """An entry cannot send the reader back to where it was."""
    refused(entry("a", kind, size=-512))
