"""An engine that only notes what it is asked."""

from app.cli.docker import Docker


class Pretended(Docker):
    """Notes what it is asked. Colours run that have been started; `ready` is what a probe finds."""

    asked: list[tuple[str, ...]] = []  # noqa: RUF012  one for all of them
    running: set[str] = set()  # noqa: RUF012
    answers: dict[str, str] = {}  # noqa: RUF012
    ready = True

    def do(self, *arguments: str, given: bytes = b"") -> None:
        self.asked.append(arguments)
        if arguments[0] in {"up", "start"}:
            self.running.add(arguments[-1])
        if arguments[0] == "stop":
            self.running.discard(arguments[-1])

    def ask(self, *arguments: str) -> str:
        *_, last = arguments
        if arguments[0] == "ps":
            return f"id-of-{last}" if last in self.running or "--all" in arguments else ""
        if "{{.State.StartedAt}}" in arguments:
            return {"id-of-blue": "2026-11-24", "id-of-green": "2026-11-25"}[last]
        if "{{.State.Running}} {{.RestartCount}}" in arguments:
            return self.answers.get("state", "true 0")
        return self.answers.get(arguments[0], "")

    def tried(self, *arguments: str) -> tuple[bool, str]:
        if arguments[0] in {"kill", "rm"}:
            self.asked.append(arguments)
            self.running.discard(arguments[-1])
        return self.ready, '{"status": "unavailable"}'
