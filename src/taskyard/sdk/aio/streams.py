"""Methods of the asyncio client: transcripts, and following tasks."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import TypeVar

from taskyard.sdk.aio.caller import AsyncCaller
from taskyard.sdk.calls import PathPart, Query, Request
from taskyard.sdk.errors import ApiError, SdkError, Unreachable
from taskyard.sdk.event_text import SILENCE_S, EventText, Followed, is_passing, patience
from taskyard.sdk.streams import Lost, resumed
from taskyard.wire import transcript
from taskyard.wire.base import as_uuid

T = TypeVar("T")


class AsyncStreamCalls(AsyncCaller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    async def get_task_transcript(
        self,
        user: PathPart,
        task: PathPart,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
        kinds: str | None = None,
    ) -> transcript.TaskTranscript:
        """Get what a task said and did, item by item; of kinds, which are a list with commas."""
        return await self.request(
            transcript.TaskTranscript,
            "get_task_transcript",
            user,
            task,
            query={"after": after, "before": before, "limit": limit, "kinds": kinds},
        )

    async def export_task_transcript(
        self,
        user: PathPart,
        task: PathPart,
        output: transcript.TranscriptFormat = transcript.TranscriptFormat.JSONL,
        *,
        kinds: str | None = None,
    ) -> AsyncIterator[bytes]:
        """Get all of a transcript as JSONL or Markdown, in pieces as they come; never a part of it as the whole."""
        query: Query = {"format": output, "kinds": kinds}
        request = self._prepared("get_task_transcript", (user, task), query, None)
        async with aclosing(self._pieces(request, SILENCE_S)) as pieces:
            async for piece in pieces:
                yield piece

    async def follow_task(
        self,
        user: PathPart,
        task: PathPart,
        *,
        after: str = "",
        tail: int | None = None,
        lost: Lost | None = None,
    ) -> AsyncIterator[Followed[transcript.TaskStreamed]]:
        """Follow a task until it is deleted: its items, from the first unless told, and what it becomes.

        after is the id of what came before. A connection that breaks is taken up again where it was.
        """
        # By its id: another task may have the name when the stream is taken up again.
        known = as_uuid(str(task))
        if known is None:
            known = (await self.request(transcript.TaskName, "get_task", user, task)).id

        def asked(last_id: str) -> Request:
            query = {} if last_id else {"tail": tail}
            return resumed(self._prepared("follow_task", (user, known), query, None), last_id)

        async with aclosing(self._follow(transcript.OF_TASK, asked, after, lost)) as told:
            async for one in told:
                yield one
                if isinstance(one.news, transcript.TaskDeleted):
                    return

    def follow_tasks(
        self, *, after: str = "", lost: Lost | None = None
    ) -> AsyncIterator[Followed[transcript.TasksStreamed]]:
        """Follow what becomes of all tasks that the caller may see, for ever.

        Begins with TasksReset, unless after is the id of what came before: then the list is to be read.
        """

        def asked(last_id: str) -> Request:
            return resumed(self._prepared("follow_tasks", (), None, None), last_id)

        return self._follow(transcript.OF_TASKS, asked, after, lost)

    async def _follow(
        self,
        kinds: Mapping[str, type[T]],
        asked: Callable[[str], Request],
        after: str,
        lost: Lost | None,
    ) -> AsyncGenerator[Followed[T], None]:
        """What a stream tells. asked gives the request for what comes behind an id, empty for no id."""
        text, tries = EventText(kinds, after), patience()
        while True:
            request = asked(text.last_id)
            text.restart()
            try:
                async with aclosing(self._pieces(request, SILENCE_S)) as pieces:
                    async for piece in pieces:
                        tries.began()
                        for told in text.take(piece, request.operation, self.url):
                            tries.went_on()
                            yield told
                error: SdkError = Unreachable(self.url, "the stream that it sent broke off")
            except (ApiError, Unreachable) as caught:
                error = caught
            pause = tries.next_s() if is_passing(error) else None
            if pause is None:
                raise error
            if lost is not None:
                lost(error)
            await asyncio.sleep(pause)
