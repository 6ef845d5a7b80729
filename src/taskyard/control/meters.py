"""What is counted while a server works. By itself nothing is kept: the daemon puts something in that does."""


class Meters:
    """Takes what happened, and forgets it."""

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; route is its pattern, never its path."""

    def job(self, kind: str, outcome: str, seconds: float) -> None:
        """A try of a job is over; seconds are those since it was claimed."""

    def items(self, count: int) -> None:
        """So many items of conversations were stored."""

    def reaped(self, kind: str, count: int) -> None:
        """So many rows of a kind were removed, as they were old."""
