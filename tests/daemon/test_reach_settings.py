"""What the settings of a server's addresses take, and what they say of the rest."""

import socket
from pathlib import Path

import pytest

from taskyard.config import Settings, load_settings
from taskyard.daemon.listen import listen_at, read_place
from taskyard.daemon.reach import reach_of
from taskyard.errors import StartupError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:7080", "http://127.0.0.1:7080"),
        ("0.0.0.0:7080", "http://127.0.0.1:7080"),
        ("[::]:80", "http://[::1]:7080"),
        ("[2001:db8::1]:0", "http://[2001:db8::1]:7080"),
        ("yard.lan:1", "http://yard.lan:7080"),
        ("unix:/run/yard.sock", "unix:///run/yard.sock"),
        ("unix:///run/yard.sock", "unix:///run/yard.sock"),
    ],
)
def test_places(text: str, url: str) -> None:
    """A place is read, and called as a program on this machine would call it."""
    assert read_place(text, "listen").url(7080, tls=False) == url


@pytest.mark.parametrize(
    "text",
    ["", "7080", ":7080", "127.0.0.1", "1.2.3.4:99999", "::1:80", "http://x:80", "unix:", "a b:1"],
)
def test_places_that_are_none(text: str) -> None:
    """The setting, what it holds and the ways to write it are named."""
    with pytest.raises(StartupError, match=r"metrics_listen is .*ADDRESS:PORT"):
        read_place(text, "metrics_listen")


def test_a_unix_socket(tmp_path: Path) -> None:
    """One that a server left is replaced; one that is in use, or that is a file, is left alone."""
    place = read_place(f"unix:{tmp_path}/yard.sock", "listen")
    with listen_at(place), pytest.raises(StartupError, match="another server"):
        listen_at(place)
    listen_at(place).close()
    (tmp_path / "yard.sock").unlink()
    (tmp_path / "yard.sock").write_text("mine")
    with pytest.raises(StartupError, match="a file of that name"):
        listen_at(place)
    assert (tmp_path / "yard.sock").read_text() == "mine"
    with pytest.raises(StartupError, match="must be writable"):
        listen_at(read_place(f"unix:{tmp_path}/yard.sock/no.sock", "listen"))


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_both_families() -> None:
    """`[::]` is for both kinds of addresses."""
    try:
        sock = listen_at(read_place("[::]:0", "listen"))
    except StartupError:
        pytest.skip("this machine has no IPv6")
    with sock, socket.create_connection(("127.0.0.1", sock.getsockname()[1])):
        pass


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allowed_hosts", "https://yard.example.com"),
        ("allowed_hosts", "yard:80"),
        ("allowed_hosts", "a*.example.com"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "proxy.lan"),
        ("cors_origins", "page.example.com"),
        ("cors_origins", "https://page.example.com/"),
        ("cors_origins", "https://Page.example.com"),
        ("cors_origins", "*"),
    ],
)
def test_what_is_refused(name: str, value: str) -> None:
    """The setting and its value, or what is wrong with it, are named."""
    settings = load_settings({"data_dir": "/nowhere", name: (value,)}, {}, None)
    with pytest.raises(StartupError, match=name):
        reach_of(settings)


@pytest.mark.parametrize(
    "url",
    [
        "yard.example.com",
        "ftp://yard.example.com",
        "https://",
        "https://yard.example.com/path",
        "https://yard.example.com?x",
        "https://me@yard.example.com",
        "https://yard.example.com:99999",
        "https://[::1",
    ],
)
def test_an_access_url_that_is_none(url: str) -> None:
    """Only a scheme, a host and a port: nothing else would work."""
    with pytest.raises(StartupError, match="access_url"):
        load_settings({"data_dir": "/nowhere", "access_url": url}, {}, None)


def test_lists(tmp_path: Path) -> None:
    """A flag is repeated, a variable has commas, a file has a list or commas; the first that has it wins."""
    file = tmp_path / "settings.toml"
    file.write_text('allowed_hosts = ["a", "b"]\nlisten = "127.0.0.1:1,unix:/x"\n')
    read = load_settings(
        {"data_dir": "/nowhere"}, {"TASKYARD_CORS_ORIGINS": "https://a, https://b"}, file
    )
    assert read.allowed_hosts == ("a", "b")
    assert read.listen == ("127.0.0.1:1", "unix:/x")
    assert read.cors_origins == ("https://a", "https://b")
    flags = {"data_dir": "/nowhere", "allowed_hosts": ("c",), "listen": ()}
    assert load_settings(flags, {}, file).allowed_hosts == ("c",)
    assert load_settings(flags, {}, file).listen == ("127.0.0.1:1", "unix:/x")


def test_the_access_url_is_one_spelling() -> None:
    """Without the slash that people copy along; its host is one that is answered to."""
    settings = load_settings(
        {"data_dir": "/nowhere", "access_url": "https://Yard.example.com/"}, {}, None
    )
    assert settings.access_url == "https://yard.example.com"
    assert reach_of(settings).admits("yard.example.com")
    assert not reach_of(Settings(data_dir="/nowhere")).admits("yard.example.com")
