"""Methods of the blocking client: transcripts, and following tasks."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import msgspec

from taskyard.sdk.caller import Caller
from taskyard.sdk.calls import PathPart, Query, Reply, Request, check
from taskyard.sdk.errors import ApiError, SdkError, Unreachable
from taskyard.sdk.event_text import SILENCE_S, EventText, Followed, is_passing, patience
from taskyard.sdk.http1 import Answer
from taskyard.sdk.transport import reason
from taskyard.wire import transcript
from taskyard.wire.base import as_uuid

T = TypeVar("T")

Lost = Callable[[SdkError], None]
"""Called when a stream broke off and is taken up again."""


class StreamCalls(Caller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    def get_task_transcript(
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
        return self.request(
            transcript.TaskTranscript,
            "get_task_transcript",
            user,
            task,
            query={"after": after, "before": before, "limit": limit, "kinds": kinds},
        )

    def export_task_transcript(
        self,
        user: PathPart,
        task: PathPart,
        output: transcript.TranscriptFormat = transcript.TranscriptFormat.JSONL,
        *,
        kinds: str | None = None,
    ) -> Iterator[bytes]:
        """Get all of a transcript as JSONL or Markdown, in pieces as they come; never a part of it as the whole."""
        query: Query = {"format": output, "kinds": kinds}
        request = self._prepared("get_task_transcript", (user, task), query, None)
        try:
            with self._transport.opened(request, SILENCE_S) as answer:
                check(request, _reply(answer), self.url)
                yield from answer.pieces()
        except OSError as error:
            raise Unreachable(self.url, reason(error)) from error

    def follow_task(
        self,
        user: PathPart,
        task: PathPart,
        *,
        after: str = "",
        tail: int | None = None,
        lost: Lost | None = None,
    ) -> Iterator[Followed[transcript.TaskStreamed]]:
        """Follow a task until it is deleted: its items, from the first unless told, and what it becomes.

        after is the id of what came before. A connection that breaks is taken up again where it was.
        """
        # By its id: another task may have the name when the stream is taken up again.
        known = as_uuid(str(task)) or self.request(transcript.TaskName, "get_task", user, task).id

        def asked(last_id: str) -> Request:
            query = {} if last_id else {"tail": tail}
            return resumed(self._prepared("follow_task", (user, known), query, None), last_id)

        for told in self._follow(transcript.OF_TASK, asked, after, lost):
            yield told
            if isinstance(told.news, transcript.TaskDeleted):
                return

    def follow_tasks(
        self, *, after: str = "", lost: Lost | None = None
    ) -> Iterator[Followed[transcript.TasksStreamed]]:
        """Follow what becomes of all tasks that the caller may see, for ever.

        Begins with TasksReset, unless after is the id of what came before: then the list is to be read.
        """

        def asked(last_id: str) -> Request:
            return resumed(self._prepared("follow_tasks", (), None, None), last_id)

        return self._follow(transcript.OF_TASKS, asked, after, lost)

    def _follow(
        self,
        kinds: Mapping[str, type[T]],
        asked: Callable[[str], Request],
        after: str,
        lost: Lost | None,
    ) -> Iterator[Followed[T]]:
        """What a stream tells. asked gives the request for what comes behind an id, empty for no id."""
        text, tries = EventText(kinds, after), patience()
        while True:
            request = asked(text.last_id)
            text.restart()
            try:
                for piece in self._pieces(request):
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
            time.sleep(pause)

    def _pieces(self, request: Request) -> Iterator[bytes]:
        """A stream as it comes. Raises ApiError, Unreachable."""
        try:
            with self._transport.opened(request, SILENCE_S) as answer:
                check(request, _reply(answer), self.url)
                yield from answer.pieces()
        except OSError as error:
            raise Unreachable(self.url, reason(error)) from error


def resumed(request: Request, last_id: str) -> Request:
    """The request for what comes behind this id; from where it says itself when there is none."""
    headers = {**request.headers, "Accept": "text/event-stream"}
    return msgspec.structs.replace(
        request, headers=headers | ({transcript.LAST_EVENT_ID: last_id} if last_id else {})
    )


def _reply(answer: Answer) -> Reply:
    """An answer without its body, if it is a good one."""
    is_good = 200 <= answer.status < 300
    return Reply(answer.status, answer.headers, b"" if is_good else answer.read())
