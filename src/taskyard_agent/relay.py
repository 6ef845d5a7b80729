"""The way out of a workspace: a proxy on its loopback that hands everything to the server's relay.

The relay decides; nothing is decided here. Only this process has the agent's token, so programs come
by the proxy and need none. A host of the template that is the server's own loopback is listened for
on the same port in here, so that `http://127.0.0.1:4020` means the same inside and outside. Programs
that know no proxy are redirected here by `redirect.py`, where the driver has made a network for that.
"""

import asyncio
import errno
import re
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from taskyard_agent.protocol import Manifest
from taskyard_agent.relay_answer import Answer, answer_of, read_answer
from taskyard_agent.settings import AgentSettings
from taskyard_agent.splice import End, HeadTooLong, splice

if TYPE_CHECKING:
    from taskyard_agent.redirect import Redirect

SOCKET_NAME = "relay.sock"
"""The relay's socket, beside the server's socket for agents."""

LOOPBACK = "127.0.0.1"

CONNECTIONS = 56
"""Connections through the relay at once, others wait: a little fewer than the relay allows a workspace."""

HEAD_BYTES = 64 * 1024
"""Most bytes of a program's request line and headers; what servers take."""

ANSWER_BYTES = 8 * 1024
"""Most bytes of the head of the relay's answer."""

RETRY_S = 10.0
"""Seconds to reach the relay: a server that restarts is away for less."""

RETRY_FIRST_S = 0.05
RETRY_MAX_S = 0.5
"""Seconds between tries, doubled from the first up to the most."""

TAKEN = 256
"""Connections of programs at once, with those that wait for their turn; more are ended, as this process has 1024 files."""

REMEMBERED = 100
"""Refused targets that are named in the log, each once."""

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

_OPEN_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost):([0-9]+)")
_CONNECT = re.compile(rb"CONNECT ([!-~]{1,512}) HTTP/1\.[01]\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) ")

Log = Callable[[str, str], None]
"""Takes the level and the text of a line."""


class Relay:
    """The proxy of one workspace. run() until close(); env is good once ready is set.

    http_only: those of egress to which only plain HTTP goes, each request judged by the server.
    way_out: programs are redirected, too; attempts_fd is then where other attempts of theirs are seen, if they are.
    """

    def __init__(
        self,
        path: Path,
        token: str,
        egress: list[str],
        log: Log,
        *,
        http_only: Iterable[str] = (),
        way_out: bool = False,
        attempts_fd: int | None = None,
    ) -> None:
        self.ready = asyncio.Event()
        self._path = path
        self._token = token
        self._ports = [int(found[1]) for e in egress if (found := _OPEN_LOOPBACK.fullmatch(e))]
        self._egress = egress
        self._http_only = tuple(http_only)
        self._way_out = way_out
        self._attempts_fd = attempts_fd
        self._log = log
        self._port = 0
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._closing = asyncio.Event()
        self._told: set[str] = set()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def env(self) -> dict[str, str]:
        """What leads programs to the proxy."""
        url = f"http://{LOOPBACK}:{self._port}"
        names = ("http_proxy", "https_proxy", "all_proxy")
        inside = f"localhost,{LOOPBACK},::1"
        return {
            **{name: url for word in names for name in (word, word.upper())},
            "no_proxy": inside,
            "NO_PROXY": inside,
            "NODE_USE_ENV_PROXY": "1",  # node looks at the others only then
        }

    def renew(self, token: str) -> None:
        """From now on the relay is asked with this token."""
        self._token = token

    async def run(self) -> None:
        """Serves until close()."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as self._group:
            proxy = await loop.create_server(lambda: End(self._came), LOOPBACK, 0)
            self._port = proxy.sockets[0].getsockname()[1]
            servers: list[asyncio.Server | Redirect] = [proxy]
            servers += [s for port in self._ports if (s := await self._mirror(port))]
            servers += [r for r in (await self._redirect(),) if r is not None]
            self.ready.set()
            try:
                await self._closing.wait()
            finally:
                for server in servers:
                    server.close()
                for task in self._serving:
                    task.cancel()

    def close(self) -> None:
        """Ends every connection, and takes no more."""
        self._closing.set()

    async def _mirror(self, port: int) -> asyncio.Server | None:
        """Listens in here for what the server's machine has on its loopback."""
        loop = asyncio.get_running_loop()

        def came(end: End) -> None:
            self._serve(self._through(end, f"{LOOPBACK}:{port}"), end)

        try:
            return await loop.create_server(lambda: End(came), LOOPBACK, port)
        except OSError as error:
            why = errno.errorcode.get(error.errno or 0, str(error))
            told = f"Port {port} of the server's machine cannot be had on the same port in here ({why})."
            self._log("warn", told)
            return None

    async def _redirect(self) -> "Redirect | None":
        """Answers names in here and takes what programs connect to, if the driver has made a network for that."""
        if not self._way_out:
            return None
        # Imported here: without such a network it has nothing to do.
        from taskyard_agent.redirect import Redirect

        redirect = Redirect(
            self._egress,
            self._through,
            self._serve,
            ask=self._tell_server,
            log=self._log,
            attempts_fd=self._attempts_fd,
        )
        try:
            await redirect.start(self._group)
        except OSError as error:
            redirect.close()
            told = f"Programs that know no proxy reach nothing: names cannot be answered in here ({error})."
            self._log("warn", told)
            return None
        return redirect

    def _came(self, end: End) -> None:
        self._serve(self._proxied(end), end)

    def _serve(self, work: Coroutine[None, None, None], end: End) -> None:
        """Does the work in a task of its own, and ends the connection after it."""
        if len(self._serving) >= TAKEN:
            work.close()
            end.abort()
            return

        async def serve() -> None:
            try:
                await work
            except* (ConnectionError, HeadTooLong):
                end.abort()
            finally:
                end.close()

        task = self._group.create_task(serve())
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _proxied(self, client: End) -> None:
        """Serves one connection of a program that was told of the proxy."""
        head = await client.head(HEAD_BYTES)
        if (asked := _CONNECT.match(head)) is not None:
            target = asked[1].decode()
            await self._through(client, target, established=ESTABLISHED, refuse=True)
            return
        # Imported on use: most programs of most workspaces speak TLS, and come by CONNECT.
        from taskyard_agent.relay_http import forward

        async with self._places:
            await forward(client, head, self.tunnel)

    async def _through(
        self, client: End, target: str, *, established: bytes = b"", refuse: bool = False
    ) -> None:
        """Carries bytes between the client and the target, until either is done."""
        async with self._places:
            made = await self.tunnel(target)
            if isinstance(made, Answer):
                if refuse:
                    client.write(made.whole)
                else:
                    client.reset()
                return
            client.write(established)
            await splice(client, made)

    async def tunnel(self, target: str) -> End | Answer:
        """A connection to the target, or the relay's answer why there is none."""
        try:
            end = await self._ask("HTTP" if self._is_http_only(target) else "CONNECT", target)
            answer = await end.head(ANSWER_BYTES)
        except (OSError, HeadTooLong) as error:
            why = str(error) or type(error).__name__
            return self._tell(target, answer_of(502, "Bad Gateway", f"The server is away: {why}."))
        found = _STATUS_LINE.match(answer)
        if found is not None and found[1] == b"200":
            return end
        return self._tell(target, await read_answer(end, answer))

    async def _tell_server(self, word: str, what: str) -> None:
        """Nothing; the server knows that a program wants this name or place, which is not listed, if it could be told."""
        try:
            async with asyncio.timeout(RETRY_S):
                end = await self._ask(word, what)
                try:
                    await end.head(ANSWER_BYTES)
                finally:
                    end.abort()
        except (OSError, HeadTooLong):
            return  # the workspace's log has it

    async def _ask(self, verb: str, what: str) -> End:
        """A connection to the relay, which is to answer this. Raises OSError."""
        end = await self._dial()
        token = f"Proxy-Authorization: Bearer {self._token}"
        end.write(f"{verb} {what} HTTP/1.1\r\n{token}\r\n\r\n".encode())
        return end

    def _is_http_only(self, target: str) -> bool:
        """Whether the server reads what is sent there, request by request, and takes nothing else."""
        if not self._http_only:
            return False
        name = target.lower()
        covering = [rule for rule in self._egress if _covers(rule, name)]
        return bool(covering) and all(rule in self._http_only for rule in covering)

    async def _dial(self) -> End:
        """A connection to the relay; waits for a server that restarts. Raises OSError."""
        loop = asyncio.get_running_loop()
        until, pause_s = loop.time() + RETRY_S, RETRY_FIRST_S
        while True:
            try:
                _, end = await loop.create_unix_connection(End, str(self._path))
            except (FileNotFoundError, ConnectionRefusedError):
                if loop.time() + pause_s > until:
                    raise
            else:
                return end
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_MAX_S)

    def _tell(self, target: str, answer: Answer) -> Answer:
        """The answer, which the log has once for each target."""
        if target not in self._told and len(self._told) < REMEMBERED:
            self._told.add(target)
            self._log("warn", f"No connection to {target[:256]!r}: {answer.sentence}")
        return answer


async def start_relay(
    settings: AgentSettings, manifest: Manifest, log: Log, tasks: asyncio.TaskGroup
) -> Relay | None:
    """The proxy, ready; None where the template lists nothing, or there are no walls to have a door in."""
    if not manifest.egress:
        return None
    if not settings.confined:
        log(
            "warn",
            "Nothing is confined here: programs reach whatever the server's machine reaches.",
        )
        return None
    if not settings.url.startswith("unix:"):
        log(
            "error", "The server was reached without a Unix socket, so there is no relay beside it."
        )
        return None
    path = Path(settings.url.removeprefix("unix:")).with_name(SOCKET_NAME)
    relay = Relay(
        path,
        settings.token,
        manifest.egress,
        log,
        http_only=manifest.egress_http,
        way_out=settings.way_out,
        attempts_fd=settings.attempts_fd,
    )
    tasks.create_task(relay.run())
    try:
        await relay.ready.wait()
    except asyncio.CancelledError:
        relay.close()  # nobody else knows of it yet
        raise
    return relay


def _covers(rule: str, target: str) -> bool:
    """Whether a rule of the template is about a target, both as `host:port`."""
    return target.endswith(rule[1:]) if rule.startswith("*.") else target == rule
