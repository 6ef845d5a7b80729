"""The maths of SSH keys, by the examples of RFC 8032."""

import base64

import pytest

from taskyard.control.ssh_keys import public_half, public_line


@pytest.mark.parametrize(
    ("seed", "public"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        ),
    ],
)
def test_the_public_half_belongs_to_the_private(seed: str, public: str) -> None:
    """RFC 8032 section 7.1, tests 1 to 3."""
    assert public_half(bytes.fromhex(seed)).hex() == public


def test_a_line_is_what_ssh_reads() -> None:
    """Algorithm, the two fields with their lengths in front, and whose it is."""
    algorithm, blob, comment = public_line(bytes(32), "ada@example.com").split(" ")
    raw = base64.b64decode(blob)
    assert (algorithm, comment) == ("ssh-ed25519", "ada@example.com")
    assert raw == b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + public_half(bytes(32))
