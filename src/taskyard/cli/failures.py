"""What a command line ends with when something went wrong: a sentence, a way out, an exit status."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskyard.sdk.errors import ApiError

REFUSED: Final = 1
"""The server refused, or what was asked for failed."""

USAGE: Final = 2
"""The command line itself was wrong."""

NO_SERVER: Final = 3
"""Nobody is signed in, or no server is there."""


class Failure(Exception):
    """Ends a command with a sentence, lines below it, a hint what to do next, and a status."""

    def __init__(
        self, message: str, *, hint: str = "", status: int = REFUSED, lines: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status
        self.lines = lines


def expected() -> tuple[type[Exception], ...]:
    """The errors that are answers to a person, not faults of ours."""
    # Imported on use: only where something went wrong, and the SDK is there already when it did.
    from taskyard.sdk.errors import SdkError

    return (Failure, SdkError)


def as_failure(error: Exception) -> Failure:
    """What to tell a person about one of the expected errors."""
    # Imported on use, as in expected.
    import ssl

    # Imported on use, as in expected.
    from taskyard.sdk.errors import ApiError, Unreachable

    match error:
        case Failure():
            return error
        case ApiError():
            return _refusal(error)
        case Unreachable() if isinstance(error.__cause__, ssl.SSLCertVerificationError):
            hint = "To trust it, name its PEM file, or that of its authority, in SSL_CERT_FILE."
            return Failure(f"{error}.", hint=hint, status=NO_SERVER)
        case Unreachable():
            hint = f"Check that the server runs and that {error.url} is its address."
            return Failure(f"{error}.", hint=hint, status=NO_SERVER)
        case _:
            hint = "Check that the address is that of a server with a Tasks API of this kind."
            return Failure(f"{error}.", hint=hint)


def _refusal(error: "ApiError") -> Failure:
    """A server's refusal in its own words, without what a terminal would obey."""
    lines = [error.detail] if error.detail else []
    lines += [f"{field}: {why}" for field, why in error.validations]
    if error.status == 401:
        hint = f"Sign in with: taskyard login {error.url.partition('/api/')[0]}"
        return Failure(error.message, hint=hint, status=NO_SERVER, lines=tuple(lines))
    hint = ""
    if error.status >= 500 and error.request_id:
        hint = f"The server's log has more under the request id {error.request_id}."
    return Failure(error.message, hint=hint, lines=tuple(lines))
