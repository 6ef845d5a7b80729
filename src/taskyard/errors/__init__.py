"""What can go wrong, as classes that carry facts. How each looks over HTTP: server/errors.py."""

from uuid import UUID


class TaskyardError(Exception):
    """The root of all errors of ours; str() is a sentence for a person."""


class DriverError(TaskyardError):
    """A driver could not do what it was asked; the sentence names the cause and the way out."""


class DriverUnavailable(DriverError):
    """A driver cannot work on this machine at all; the sentence names the cause and the fix."""


class CannotFreeze(DriverError):
    """A workspace cannot be frozen here, and runs as before; the sentence says why."""


class WorkspaceBusy(TaskyardError):
    """So many calls of one workspace wait for their turn that one more is refused."""

    def __init__(self) -> None:
        super().__init__(
            "Too many calls of this workspace wait for their turn. Send fewer at once."
        )


class StartupError(TaskyardError):
    """A server cannot start; the sentence names what is wrong and what to do next."""


class DataDirInUse(StartupError):
    """A data directory is another server's at the moment."""


class DatabaseBusy(TaskyardError):
    """No database connection came free in time, or Postgres gave the work up, which then left nothing behind."""


class ServerBusy(TaskyardError):
    """There is no room for a request: no memory for its body, or too many of its sender wait for another server."""


class DatabaseAway(TaskyardError):
    """The database does not answer, or went away in the middle of a statement."""


class DatabaseFull(DatabaseAway):
    """The database has no room for it, mostly because its disk is full."""


class NotFound(TaskyardError):
    """What was asked for is not there, or the caller must not see it: the same answer for both."""


class Forbidden(TaskyardError):
    """The caller may see the thing but not do this with it; action is a verb and a noun."""

    def __init__(self, action: str) -> None:
        super().__init__(f"not allowed to {action}")
        self.action = action


class Unauthenticated(TaskyardError):
    """Nobody known asks; code says which check failed, detail says it in a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Invalid(TaskyardError):
    """Input that breaks rules; each violation names a field of the wire and says why."""

    def __init__(self, message: str, violations: list[tuple[str, str]]) -> None:
        super().__init__(message)
        self.violations = violations


class AgentUnreachable(TaskyardError):
    """The workspace agent has no open link; why says more where there is more to say, without a full stop."""

    def __init__(self, agent_id: UUID, why: str = "") -> None:
        super().__init__(
            f"workspace agent {agent_id} is not connected" + (f": {why}" if why else "")
        )
        self.agent_id = agent_id


class HeldElsewhere(TaskyardError):
    """Another server, reached at url by its peers, holds the link of the workspace agent."""

    def __init__(self, agent_id: UUID, server_id: UUID, url: str) -> None:
        super().__init__(f"workspace agent {agent_id} is connected to another server, {server_id}")
        self.agent_id = agent_id
        self.server_id = server_id
        self.url = url


class BodyInvalid(TaskyardError):
    """A request's body cannot be read as what the route takes; detail is a sentence that says why."""

    def __init__(self, detail: str) -> None:
        """Keep the sentence."""
        super().__init__(detail)
        self.detail = detail


class UserSuspended(TaskyardError):
    """The user exists, but was suspended."""

    def __init__(self, username: str) -> None:
        super().__init__(
            f"The account {username} is suspended. Ask an administrator to activate it."
        )
        self.username = username


class LoginRefused(TaskyardError):
    """No user has this address and password; which of the two is wrong stays a secret."""

    def __init__(self) -> None:
        super().__init__("The email or the password is not right.")


class LoginsBusy(TaskyardError):
    """More people sign in at once than passwords can be checked for."""

    def __init__(self) -> None:
        super().__init__("Too many people are signing in just now. Try again in a few seconds.")


class TooManyFollowed(TaskyardError):
    """The user follows so many logs and workspaces already."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"You follow {most} logs and workspaces already. Leave some of them, then try again."
        )


class LoginLimited(TaskyardError):
    """Too many tries to sign in, to one account or from one address; retry_after_s: seconds until the next is taken."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            f"There were too many tries to sign in. Wait {retry_after_s} seconds, then try again."
        )
        self.retry_after_s = retry_after_s


class LoginTypeWrong(TaskyardError):
    """The user does not log in by password."""

    def __init__(self, login_type: str) -> None:
        super().__init__(f"This account signs in by {login_type}, not by password.")
        self.login_type = login_type


class NoUserYet(TaskyardError):
    """Nobody was ever created on this server."""


class FirstUserExists(TaskyardError):
    """The first user was created already."""

    def __init__(self) -> None:
        super().__init__(
            "This server has its first user already. Log in, or ask an owner for an account."
        )


class UserExists(Invalid):
    """A live user has this name or address."""

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        super().__init__(
            "There is a user with this name, email or GitHub number already.", violations
        )


class UserHasWorkspaces(TaskyardError):
    """A user cannot be deleted while workspaces are theirs."""

    def __init__(self, username: str, count: int) -> None:
        super().__init__(
            f"Workspaces of {username}: {count}. Delete their tasks and workspaces first."
        )
        self.username = username
        self.count = count


class OrganizationNameTaken(Invalid):
    """There is an organization of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is an organization named {name} already. Choose another name.",
            [("name", "this name is in use")],
        )


class TokenNameTaken(Invalid):
    """The user has a token of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is a token named {name} already. Remove it or choose another name.",
            [("name", "this name is in use")],
        )


class LeaseLost(TaskyardError):
    """A worker's right to a job ended: another has it, or the job is over. Nothing was written."""

    def __init__(self, job_id: UUID, attempt: int) -> None:
        super().__init__(f"attempt {attempt} of job {job_id} no longer belongs to this worker")
        self.job_id = job_id
        self.attempt = attempt


class JobFailed(TaskyardError):
    """A job that cannot succeed, whoever tries again; the sentence becomes the job's error."""


class JobStumbled(TaskyardError):
    """A job that could not be done this time, but perhaps by another try; the last one's sentence is the job's error."""


class JobCanceled(TaskyardError):
    """Somebody asked to cancel the job before it was done."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__(f"job {job_id} was canceled")
        self.job_id = job_id


class JobCompleted(TaskyardError):
    """The job is over, so it cannot be canceled."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__("This job is over already, there is nothing to cancel.")
        self.job_id = job_id


class JobCancelRequested(TaskyardError):
    """Somebody asked already to cancel the job."""

    def __init__(self, job_id: UUID) -> None:
        super().__init__("This job is being canceled already. Wait until it ends.")
        self.job_id = job_id


class BuildActive(TaskyardError):
    """The workspace has a build that is not over, and it can have one at a time."""

    def __init__(self, workspace_id: UUID) -> None:
        super().__init__(
            "A build of this workspace is not over yet. Wait until it ends, or cancel it."
        )
        self.workspace_id = workspace_id


class AppFailed(TaskyardError):
    """An app of a workspace could not be reached, or did not answer as it must."""


class AppUnconnected(AppFailed):
    """An app's port took no connection: nothing of the request has reached the app."""


class AppUrlEmpty(TaskyardError):
    """The app of a task has no URL."""

    def __init__(self) -> None:
        super().__init__("The app of this task has no URL. Give it one in the template.")


class AppUrlScheme(TaskyardError):
    """The app of a task has a URL that is not http."""

    def __init__(self, scheme: str) -> None:
        super().__init__(
            f"The app's URL must begin with http://, not {scheme}://. Change the template."
        )
        self.scheme = scheme


class StaleGeneration(TaskyardError):
    """A workspace agent spoke that is no longer the current one of its workspace."""


class ItemsMissing(TaskyardError):
    """A workspace sent transcript items with a gap before them; acked_seq is what is held."""

    def __init__(self, acked_seq: int) -> None:
        super().__init__(f"transcript items after {acked_seq} are missing")
        self.acked_seq = acked_seq


class StatusStateInvalid(Invalid):
    """A reported state that is none."""

    def __init__(self, state: str) -> None:
        super().__init__(
            "The reported state is not known.",
            [("state", f'"{state}" is none of working, idle, complete, failure')],
        )


class StatusMessageTooLong(Invalid):
    """A reported message over the limit."""

    def __init__(self, limit: int) -> None:
        self.detail = f"A status message has at most {limit} bytes."
        super().__init__("The message is too long.", [("message", self.detail)])


class LogsOverflowed(TaskyardError):
    """The log of an agent is full."""

    def __init__(self) -> None:
        super().__init__("The log of this agent is full; no more lines are kept.")


class Refused(TaskyardError):
    """Something that cannot be done; code is one word a case, detail says what to do next."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


class RefusedNow(Refused):
    """The state of things forbids it now; the same may work later."""


class RefusedBroken(Refused):
    """Something that is stored is not as it should be."""


class RequestRefused(Refused):
    """A request asks for something that cannot be had, and waiting does not help."""


class WorkspaceNameTaken(Invalid):
    """The owner has a workspace of this name, or one that is still being deleted."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is a workspace named {name} already. Choose another name, or wait until it is deleted.",
            [("name", "this name is in use")],
        )
        self.name = name


class WorkspaceGone(TaskyardError):
    """A workspace that was deleted, and nobody asked for deleted ones."""

    def __init__(self, workspace_id: UUID) -> None:
        super().__init__(
            f"The workspace {workspace_id} was deleted. Add ?include_deleted=true to see it."
        )
        self.workspace_id = workspace_id


class QueryInvalid(Invalid):
    """A query that cannot be understood; each violation names a key of it, or of the search in it."""

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        super().__init__("The query cannot be understood.", violations)


class ParametersInvalid(Invalid):
    """Values that the parameters of a template do not take; each violation names a parameter."""

    def __init__(self, violations: list[tuple[str, str]]) -> None:
        super().__init__("The template does not take these parameter values.", violations)


class JobStatusUnexpected(TaskyardError):
    """A job is not in the status that the caller wants it in."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"The job is {found}, not {wanted}; nothing was done.")
        self.wanted = wanted
        self.found = found


class AppRefused(TaskyardError):
    """The app of a task was reached, but did not do what was asked; code says at which step."""

    def __init__(self, code: str, message: str, detail: str) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


class Missing(NotFound):
    """Something that a request names besides its path is not there; code is one word a case."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class SecretKeyWrong(TaskyardError):
    """The key that secrets are sealed by cannot be used; the sentence names its file."""


class SecretUnreadable(TaskyardError):
    """The value of a secret cannot be opened, and has to be set again."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"The secret {name} cannot be opened: {why}. Set it again.")
        self.name = name


class IdempotencyKeyInvalid(TaskyardError):
    """A header Idempotency-Key that is no key."""

    def __init__(self) -> None:
        super().__init__(
            "The header Idempotency-Key must be given once, with 1 to 255 visible ASCII characters."
        )


class IdempotencyMismatch(TaskyardError):
    """A key that its user has sent before, with another request."""

    def __init__(self, key: str, operation: str) -> None:
        super().__init__(
            f"The Idempotency-Key {key} belongs to another request of yours ({operation}). "
            "Send a new key with this one."
        )
        self.key = key


class IdempotencyBusy(TaskyardError):
    """The same request with the same key is being worked on, and has been for as long as one may wait."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The request with the Idempotency-Key {key} is still being worked on. Send it again in a moment."
        )
        self.key = key


class TooManyKeys(TaskyardError):
    """Somebody has as many keys of requests as are kept at a time for one."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"Of your requests, {most} are kept by their Idempotency-Key already. Send this one without a key, or later: "
            "old keys go by themselves."
        )


class IdempotencyLost(TaskyardError):
    """A request whose server was taken for dead: another try has it in hand, and this one has changed nothing."""

    def __init__(self) -> None:
        super().__init__(
            "This request was taken over by a later one of the same Idempotency-Key. Send it again in a moment."
        )


class IdempotencyUnknown(TaskyardError):
    """A request that was done before, but whose answer cannot be given again; names what it was done to.

    sent: it goes to a coding agent, and is known to have been about to; whether it arrived is not.
    """

    def __init__(self, operation: str, kind: str, name: str, *, sent: bool = False) -> None:
        thing = f" at the {kind.replace('_', ' ')} {name}" if name else ""
        super().__init__(
            f"This request ({operation}) was being sent to the coding agent{thing} when its answer was lost: it may "
            "have arrived. Look at the task's transcript; to send it once more, use a new Idempotency-Key."
            if sent
            else f"This request ({operation}) was done{thing}, but its answer was lost or is not kept. "
            "Look at what is there; to do it once more, send a new Idempotency-Key."
        )
        self.kind = kind
        self.name = name


class QuotaReached(TaskyardError):
    """A user has as much of something as one may have; the sentence says how much, and what to remove."""
