#!/usr/bin/env python3
"""Builds the lab's images from packages; does nothing for those that are up to date.

See README.md beside this file. Needs root, Docker, debootstrap and the `docker` and `rich`
packages.
"""

from __future__ import annotations

import argparse
import collections
import fcntl
import os
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import BinaryIO

import catalogue
import docker
import materials
from catalogue import AptSource, Step
from docker.errors import DockerException
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

HERE = Path(__file__).resolve().parent
SIDE_BY_SIDE = 3
"""Images in the making at once: one mostly downloads while another installs."""
LINE_WIDTH = 100
SHARED_MEMORY = 512 << 20
"""/dev/shm of a build's containers, in bytes: vLLM wants 160 MiB where Docker gives 64."""
_SILENCE_S = 3600
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class BuildFailed(Exception):
    """One image could not be built; `log` holds the last lines of its build."""

    def __init__(self, step: Step, message: str, log: Sequence[str] = ()) -> None:
        super().__init__(f"{step.tag} could not be built: {message}")
        self.log = tuple(log)


class Screen:
    """Shows what is going on: live on a terminal, else a line with the seconds so far."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self._live = self.console.is_terminal
        self._started = time.monotonic()
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.fields[tag]}"),
            TimeElapsedColumn(),
            TextColumn(
                "{task.description}",
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            console=self.console,
            expand=True,
        )

    @contextmanager
    def live(self, steps: Sequence[Step]) -> Iterator[None]:
        if not self._live:
            yield
            return
        for step in steps:
            self._tasks[step.tag] = self._progress.add_task("waiting", start=False, total=1, tag=step.tag)
        with self._progress:
            yield

    def begin(self, step: Step) -> None:
        if self._live:
            self._progress.start_task(self._tasks[step.tag])
        else:
            self._line(step.tag, f"build, {step.reason}")

    def detail(self, step: Step, text: str) -> None:
        """A passing line, worth nothing once it has scrolled by."""
        if self._live and text:
            self._progress.update(self._tasks[step.tag], description=f"[dim]{escape(text)}[/dim]")

    def stage(self, step: Step, text: str) -> None:
        if self._live:
            self._progress.update(self._tasks[step.tag], description=escape(text))
        else:
            self._line(step.tag, text)

    def done(self, step: Step, text: str) -> None:
        self.stage(step, text)
        if self._live:
            self._progress.update(self._tasks[step.tag], completed=1)

    def _line(self, tag: str, text: str) -> None:
        line = f"[{time.monotonic() - self._started:4.0f} s] {tag}: {shorten(text, LINE_WIDTH)}\n"
        # One write: the builds that run side by side share the stream.
        sys.stdout.write(line)
        sys.stdout.flush()


class Engine:
    """The Docker Engine, as far as images go."""

    def __init__(self) -> None:
        self._client = docker.from_env(timeout=_SILENCE_S)

    def labelled(self) -> dict[str, str]:
        """Tag -> content of the inputs label, for every tagged image of the repository."""
        return {
            tag: (image.labels or {}).get(catalogue.LABEL, "")
            for image in self._client.images.list(name=f"{catalogue.REPOSITORY}/*")
            for tag in image.tags
        }

    def size(self, tag: str) -> str:
        return f"{self._client.images.get(tag).attrs['Size'] / 1e6:,.0f} MB"

    def import_root(self, stream: BinaryIO, step: Step) -> None:
        repository, _, version = step.tag.partition(":")
        label = f"LABEL {catalogue.LABEL}={step.inputs}"
        answer = self._client.api.import_image_from_stream(
            stream, repository=repository, tag=version, changes=[label, 'CMD ["bash"]']
        )
        if '"error"' in str(answer):
            raise DockerException(answer)

    def build(self, context: BinaryIO, step: Step, arguments: Mapping[str, str]) -> Iterator[str]:
        """Build from a tar stream and yield the log's lines. Raises DockerException."""
        lines = self._client.api.build(
            fileobj=context,
            custom_context=True,
            tag=step.tag,
            rm=True,
            forcerm=True,
            decode=True,
            buildargs=dict(arguments),
            shmsize=SHARED_MEMORY,
            labels={catalogue.LABEL: step.inputs},
        )
        for line in lines:
            if "error" in line:
                raise DockerException(line["error"])
            text = Text.from_ansi(str(line.get("stream", ""))).plain
            yield from filter(str.strip, text.splitlines())

    def remove_leftovers(self) -> None:
        """Remove what build stages and replaced images left untagged; all of it has our label."""
        self._client.images.prune(filters={"dangling": True, "label": catalogue.LABEL})


@contextmanager
def context_stream(parts: Mapping[str, Path]) -> Iterator[BinaryIO]:
    """A build context as a tar stream: folders by their name in the context, "" for its root.

    Nothing is copied: the wheels go from the cache straight to Docker.
    """
    reading, writing = os.pipe()

    def write() -> None:
        # Docker hangs up when it dislikes the context, and says why on its own channel.
        try:
            with os.fdopen(writing, "wb") as sink, tarfile.open(fileobj=sink, mode="w|") as tar:
                for name, folder in parts.items():
                    for path in sorted(folder.iterdir()):
                        if path.name != "__pycache__":
                            tar.add(path, arcname=f"{name}/{path.name}".lstrip("/"))
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with os.fdopen(reading, "rb") as stream:
            yield stream
    finally:
        writer.join()


class Builder:
    """Carries out the plan. release: the machine's own; sources: of every image without a parent, by its name."""

    def __init__(
        self, engine: Engine, screen: Screen, release: str, sources: Mapping[str, Sequence[AptSource]]
    ) -> None:
        self._engine = engine
        self._screen = screen
        self._release = release
        self._sources = sources

    def carry_out(self, steps: Sequence[Step]) -> None:
        """Build side by side, each after its parent. Raises the first BuildFailed at the end."""
        builds: dict[str, Future[None]] = {}
        with self._screen.live(steps), ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for step in steps:
                parent = builds.get(step.image.parent or "")
                builds[step.image.name] = pool.submit(self._build, step, parent)
        for build in builds.values():
            build.result()

    def _build(self, step: Step, parent: Future[None] | None) -> None:
        started = time.monotonic()
        self._screen.begin(step)
        try:
            if step.image.parent:
                self._build_dockerfile(step, parent)
            else:
                self._build_root(step)
        except materials.MaterialsError as error:
            self._screen.stage(step, "failed")
            raise BuildFailed(step, str(error), error.log) from error
        except BuildFailed:
            self._screen.stage(step, "failed")
            raise
        took = time.monotonic() - started
        self._screen.done(step, f"built in {took:.0f} s, {self._engine.size(step.tag)}")

    def _build_root(self, step: Step) -> None:
        folder = HERE / step.image.folder
        sources = self._sources[step.image.name]
        self._screen.stage(step, f"debootstrap {sources[0].suite}")
        with materials.root_filesystem(
            step.image, sources, folder, lambda text: self._screen.detail(step, text)
        ) as tar:
            self._screen.stage(step, "import")
            assert tar.stdout
            self._engine.import_root(tar.stdout, step)  # type: ignore[arg-type]

    def _build_dockerfile(self, step: Step, parent: Future[None] | None) -> None:
        folder = HERE / step.image.folder
        parts = {"": folder}
        for name, fetch in (("wheels", materials.wheels), ("node_modules", materials.npm_modules)):
            fetched = fetch(step.image, folder, lambda text: self._screen.detail(step, text))
            if fetched:
                self._screen.stage(step, f"{name} are there")
                parts[name] = fetched
        if parent and parent.exception():
            raise BuildFailed(step, "its base image failed")
        if not (folder / "Dockerfile").exists():
            raise BuildFailed(step, f"{folder} has no Dockerfile")
        arguments = {"BASE": self._parent_tag(step)}
        arguments.update({name: os.environ[name] for name in _PROXIES if name in os.environ})
        log: collections.deque[str] = collections.deque(maxlen=materials.LOG_LINES)
        try:
            with context_stream(parts) as context, build_log(step).open("w") as whole:
                for line in self._engine.build(context, step, arguments):
                    log.append(line)
                    whole.write(f"{line}\n")
                    show = self._screen.stage if line.startswith("Step ") else self._screen.detail
                    show(step, line)
        except (DockerException, OSError) as error:
            message = f"{error}\nIts whole log: {build_log(step)}"
            raise BuildFailed(step, message, log) from error

    def _parent_tag(self, step: Step) -> str:
        return next(image.tag(self._release) for image in catalogue.CATALOGUE if image.name == step.image.parent)


def build_log(step: Step) -> Path:
    """Where the whole log of an image's last build is kept."""
    folder = materials.cache_folder() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{step.image.name}.log"


@contextmanager
def only_one_at_a_time() -> Iterator[None]:
    """Wait for another build.py on this machine: both would use the same cache."""
    cache = materials.cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all images of the machine's own release")
    parser.add_argument("--list", action="store_true", help="print name and tag of each, build none")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    release = catalogue.release_of(Path("/etc/os-release").read_text())
    try:
        images = catalogue.select(arguments.names)
        if arguments.list:
            print("\n".join(f"{image.name}\t{image.tag(release)}" for image in images))
            return 0
        return build(images, release)
    except (BuildFailed, catalogue.UnknownImage, DockerException, ValueError) as error:
        for line in getattr(error, "log", ()):
            print(f"  | {line}", file=sys.stderr)
        print(f"build.py: {error}", file=sys.stderr)
        return 1


def build(images: Sequence[catalogue.Image], release: str) -> int:
    targets = materials.output(
        [
            "apt-get",
            "indextargets",
            "--format=$(SITE)|$(RELEASE)|$(COMPONENT)",
            "Created-By: Packages",
        ]
    )
    own = catalogue.apt_sources(targets, release)
    sources = {
        image.name: catalogue.sources_of_another(own, release, image.release) if image.release else own
        for image in images
        if not image.parent
    }
    folders = {image.name: catalogue.folder_hash(HERE / image.folder) for image in images}
    for name, lines in sources.items():
        folders[name] += "\n".join(map(str, lines))
    engine, screen = Engine(), Screen()

    def plan() -> Sequence[catalogue.Step]:
        return catalogue.plan(images, folders, engine.labelled(), release)

    steps = plan()
    for step in steps:
        if not step.reason:
            print(f"{step.tag}: up to date")
    if any(step.reason for step in steps):
        with only_one_at_a_time():
            needed = [step for step in plan() if step.reason]  # another may have built them meanwhile
            if needed:
                Builder(engine, screen, release, sources).carry_out(needed)
                engine.remove_leftovers()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        # The worker threads would continue until their images are finished.
        os._exit(130)
