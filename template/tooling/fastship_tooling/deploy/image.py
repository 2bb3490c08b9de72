"""The image of a new version."""

from app.config import SLUG
from fastship_tooling.deploy.server import DeployError
from fastship_tooling.docker import Docker, DockerError
from fastship_tooling.progress import step
from fastship_tooling.version import current_version

NEXT = f"{SLUG}:next"
DOCKERFILE = "deploy/Dockerfile.prod"
MIN_FREE_BYTES = 1_000_000_000
FREE_BYTES = "import shutil; print(shutil.disk_usage('/').free)"


def build(engine: Docker) -> str:
    """Build the image on the server, and check that it runs there.

    Args:
        engine: Docker engine of the server.

    Returns:
        Name of the image.

    Raises:
        DockerError: The build failed.
        DeployError: The image does not run, or the disk of the server is almost full.
    """
    version = current_version()
    with step(f"Building {version}"):
        engine.run(
            *["build", "--progress", "plain", "--file", DOCKERFILE],
            *["--build-arg", f"VERSION={version}", "--tag", NEXT, "."],
        )
    if engine.dry_run:
        return NEXT
    # Containers write to the disk on which the engine stores its data.
    check = ["run", "--rm", "--network", "none", NEXT, "python", "-c", FREE_BYTES]
    try:
        free = int(engine.output(*check))
    except (DockerError, ValueError) as error:
        raise DeployError(
            f"The image does not run: {error}\nRun it by hand: docker run --rm -it {NEXT} bash"
        ) from error
    if free < MIN_FREE_BYTES:
        raise DeployError(
            f"The disk of the server has only {free / 1e6:.0f} MB left. "
            "Free some space: docker system prune"
        )
    return NEXT


def remove_unused(engine: Docker) -> None:
    """Remove the images of versions that are no longer used."""
    label = f"label=org.opencontainers.image.title={SLUG}"
    engine.run("image", "prune", "--force", "--filter", label)
