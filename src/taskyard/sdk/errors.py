"""What calls to a server raise: it refused, it could not be reached, or its answer made no sense."""

import msgspec


class SdkError(Exception):
    """The root of what the clients raise; str() is for a person."""


class Problem(msgspec.Struct, frozen=True):
    """A server's own words about a refusal; validations are pairs of field and reason.

    reason is the word that programs match, request_id finds the request in the server's log; both
    are empty when the server is not ours. server_version is empty when it is no such server at all.
    """

    message: str
    detail: str = ""
    validations: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    request_id: str = ""
    server_version: str = ""


class ApiError(SdkError):
    """The server refused a call, or failed at it."""

    def __init__(self, status: int, problem: Problem, *, method: str, url: str) -> None:
        super().__init__(status, problem.message)
        self.status = status
        self.message = problem.message
        self.detail = problem.detail
        self.validations = problem.validations
        self.reason = problem.reason
        self.request_id = problem.request_id
        self.server_version = problem.server_version
        self.method = method
        self.url = url

    def __str__(self) -> str:
        """The server's words, its reasons field by field, and which call they are about."""
        said = f"{self.message} {self.detail}".strip()
        fields = [f"  {field}: {why}" for field, why in self.validations]
        return "\n".join([said, *fields, f"  ({self.method} {self.url}: {self.status})"])


class Unreachable(SdkError, ConnectionError):
    """No answer came; it is not known whether the server acted on the call."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"cannot reach the server at {url}: {why}")
        self.url = url
        self.why = why


class AnswerInvalid(SdkError):
    """The server accepted a call, but its answer is not what the call gives."""

    def __init__(self, operation: str, url: str, why: str) -> None:
        super().__init__(
            f"{url} answered {operation} in a way that this client does not understand: {why}"
        )
        self.operation = operation
        self.url = url
        self.why = why
