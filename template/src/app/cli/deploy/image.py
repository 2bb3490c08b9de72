"""The image of a new version."""

from app.cli.deploy.server import DeployError, step
from app.cli.docker import Docker
from app.config import SLUG, VERSION

NEXT = f"{SLUG}:next"
LEAST_FREE_BYTES = 1_000_000_000
FREE = "import shutil; print(shutil.disk_usage('/').free)"


def build(engine: Docker) -> str:
    """Build the image where it will run, and see that it can.

    Args:
        engine: The server's.

    Returns:
        The name of the image.

    Raises:
        DockerError: It cannot be built.
        DeployError: There is too little room for what it will write.
    """
    with step(f"Build {VERSION}"):
        engine.do(
            *["build", "--progress", "plain", "--file", "Dockerfile.prod"],
            *["--build-arg", f"VERSION={VERSION}", "--tag", NEXT, "."],
        )
    if engine.dry_run:
        return NEXT
    # Where containers write is where the engine keeps everything.
    free = engine.ask("run", "--rm", "--network", "none", NEXT, "python", "-c", FREE)
    if not free.isdecimal():
        raise DeployError(f"The image does not run. Try it: docker run --rm -it {NEXT} bash")
    if int(free) < LEAST_FREE_BYTES:
        raise DeployError(
            f"The server has {int(free) / 1e6:.0f} MB left on its disk, less than a version needs to "
            "be safe. Make room: docker system prune"
        )
    return NEXT


def remove_unused(engine: Docker) -> None:
    """Remove the images of versions that no colour has any more."""
    label = f"label=org.opencontainers.image.title={SLUG}"
    engine.do("image", "prune", "--force", "--filter", label)
