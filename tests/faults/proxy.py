"""A line between two sockets that can be bad: run as a program, told by its standard input what to do.

cut          all connections break
slow N       N bytes a second pass from now on, in each direction of each connection; 0: as many as come
"""

import asyncio
import contextlib
import sys

PIECE = 4096


class Line:
    """Passes bytes on."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._rate = 0
        self._ends: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, as long as both sides want it."""
        try:
            host, _, port = self._target.rpartition(":")
            if port.isdecimal():
                onward = await asyncio.open_connection(host, int(port))
            else:
                onward = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, onward[1]}
        self._ends |= ends
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass(reader, onward[1]))
            group.create_task(self._pass(onward[0], writer))
        self._ends -= ends

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                if self._rate:
                    await asyncio.sleep(len(piece) / self._rate)
                writer.write(piece)
                await writer.drain()
        writer.close()

    def told(self, line: str) -> None:
        """What to do now."""
        match line.split():
            case ["cut"]:
                for end in self._ends:
                    end.transport.abort()
            case ["slow", rate]:
                self._rate = int(rate)


async def main(listen: str, target: str) -> None:
    """Serves until its standard input ends."""
    line = Line(target)
    if listen == "tcp":
        server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
        place = str(server.sockets[0].getsockname()[1])
    else:
        server = await asyncio.start_unix_server(line.serve, listen)
        place = listen
    sys.stdout.write(f"{place}\n")
    sys.stdout.flush()
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while text := await orders.readline():
        line.told(text.decode())
    server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
