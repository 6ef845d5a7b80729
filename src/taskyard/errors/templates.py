"""What can go wrong with templates, their versions and their archives."""

from taskyard.errors import Invalid, Refused, TaskyardError


class VersionArchived(TaskyardError):
    """A template version that was archived makes no workspaces."""

    def __init__(self) -> None:
        super().__init__(
            "This template version is archived. Choose another version of the template."
        )


class VersionImporting(TaskyardError):
    """A template version whose import is not over yet."""

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The import of this template version is {status}. Try again when it is done."
        )
        self.status = status


class TemplateDeleted(TaskyardError):
    """The template was deleted."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The template {name} was deleted. Choose another template.")
        self.name = name


class ArchiveTooLarge(TaskyardError):
    """An archive that unpacks to more than is taken."""

    def __init__(self, limit: str) -> None:
        super().__init__(
            f"The archive unpacks to more than {limit}. Leave out what the template does not need."
        )
        self.limit = limit


class ArchiveInvalid(TaskyardError):
    """An archive that cannot be read, or holds what a template must not; the sentence says what to change."""


class TemplateNameTaken(Invalid):
    """The organization has a template of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is a template named {name} already. Choose another name, or add a version to that one.",
            [("name", "this name is in use")],
        )
        self.name = name


class VersionNameTaken(Invalid):
    """The template has a version of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"This template has a version named {name} already. Choose another name, or leave it empty.",
            [("name", "this name is in use")],
        )
        self.name = name


class VersionRenameTaken(VersionNameTaken):
    """A version cannot get the name that another of its template has."""


class ImportUnfinished(TaskyardError):
    """What is asked of a version is known only once its import is over."""

    def __init__(self, status: str) -> None:
        super().__init__(
            f"The import of this template version is {status}. Ask again when it is over."
        )
        self.status = status


class VersionNotReady(Refused):
    """What cannot be had from a version whose import did not succeed, or not yet."""
