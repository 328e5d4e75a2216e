"""The page of a lab host in Chromium: what the tests of the scenario `page` share.

A person reaches the page as docs/page.md says: through a tunnel of `ssh -L`, by which the page knows the Unix user.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect, sync_playwright
from testinfra.host import Host

from .fixtures import wait_until
from .own_network import OwnNetwork

CHROMIUM = "/usr/bin/chromium"
# As root, Chromium has no sandbox of its own. What it asks of its maker by itself stays off.
ARGUMENTS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")
PORT = 7860
WIDE, NARROW = (1280, 900), (390, 844)
HIGHEST = 1600  # of a picture
SECONDS = 30  # for what the page does at once, on a busy machine
RUN_SECONDS = 180  # for a run of a playbook
expect.set_options(timeout=SECONDS * 1000)
KEY = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "")) / "id_ed25519"
TABS = (
    "Overview",
    "Models",
    "GPUs and MIG",
    "Keys",
    "Images and recipes",
    "HTTPS and settings",
    "Energy and monitoring",
    "Runs",
)


class Viewer:
    """One person's tab of the browser. requests: every URL that it asked for. errors: of its scripts."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context, self.url = context, url
        self.requests: list[str] = []
        self.errors: list[str] = []
        context.set_default_timeout(SECONDS * 1000)
        context.on("request", lambda request: self.requests.append(request.url))
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, tab: str = "Overview") -> Viewer:
        self.page.goto(self.url)
        expect(self.at("overview").locator(".cards, .faults").first).to_be_visible()
        if tab != "Overview":
            self.tab(tab)
        return self

    def tab(self, name: str) -> None:
        """Narrow screens have the last tabs in a menu."""
        button = self.page.get_by_role("tab", name=name, exact=True)
        if not button.is_visible():
            self.page.locator(".overflow-menu > button").first.click()
            button = self.page.locator(".overflow-dropdown").get_by_text(name, exact=True)
        button.click()

    def at(self, id: str) -> Locator:
        """Gradio gives the ID of a group to two elements."""
        return self.page.locator(f"#{id}").first

    def field(self, id: str) -> Locator:
        return self.page.locator(f"#{id} textarea, #{id} input").first

    def fill(self, id: str, text: str) -> None:
        self.field(id).fill(text)

    def choose(self, id: str, option: str) -> None:
        """The entry `option` of a drop-down list, or `option: what it is`. Enter takes another one until the list has
        followed what was typed."""
        self.fill(id, option)
        self.page.get_by_role("option", name=re.compile(f"^{re.escape(option)}(:|$)")).click()

    def code(self, id: str, text: str) -> None:
        """Into an editor of code."""
        editor = self.page.locator(f"#{id} .cm-content")
        editor.click()
        editor.press("Control+a")
        editor.press("Delete")
        self.page.keyboard.insert_text(text)

    def click(self, id: str) -> None:
        self.at(id).click()

    def row(self, id: str, words: str) -> Locator:
        return self.at(id).locator("tbody tr").filter(has_text=words).first

    def pick(self, id: str, words: str) -> None:
        self.row(id, words).click()

    def start(self, playbook: str) -> None:
        """Opens the form of a playbook, in the tab Runs."""
        self.page.get_by_text("Start a playbook").click()
        self.choose("run-playbook", playbook)
        if playbook != "status":  # the form that is there first
            expect(self.at("option-fail_on")).to_have_count(0)
        expect(self.at("run-go")).to_be_visible()

    def told(self, words: str | re.Pattern[str]) -> Locator:
        """The page's own message in the corner, once it is there."""
        message = self.page.locator(".toast-body").filter(has_text=words).first
        expect(message).to_be_visible()
        return message

    def ran(self, result: str, state: str = "done", seconds: float = RUN_SECONDS) -> str:
        """The text of the run in the element `result`, once it has ended so."""
        mark = self.at(result).locator(".heading .mark").first
        expect(mark).not_to_have_text("runs", timeout=seconds * 1000)
        expect(mark, self.at(result).inner_text()).to_have_text(state)
        return self.at(result).inner_text()

    def apply(self, name: str, state: str = "done") -> str:
        """«Save and apply», until the run has ended. name: of the panel with the change."""
        self.click(f"{name}-apply")
        # What a check before it said is still there for a moment.
        expect(self.at(f"{name}-result").locator("h3").first).not_to_contain_text("Check: ")
        return self.ran(f"{name}-result", state)

    def see(self, id: str, words: str | re.Pattern[str], seconds: float = SECONDS) -> None:
        expect(self.at(id)).to_contain_text(words, timeout=seconds * 1000)

    def scrolls_sideways(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


FOLDER = os.environ.get("PICTURES") and Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "docs/pictures"


def picture(viewer: Viewer, name: str) -> None:
    """For docs/page.md. A palette of 128 colours is enough for a page, and a third of the bytes."""
    if FOLDER:
        shot = Image.open(io.BytesIO(viewer.page.screenshot(full_page=True))).convert("RGB")
        shot = shot.crop((0, 0, shot.width, min(shot.height, HIGHEST)))
        shot.quantize(128).save(FOLDER / f"page-{name}.png", optimize=True)


class Tunnels:
    """`ssh -L` to the host, one for each user."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._open: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}

    def url(self, user: str) -> str:
        return f"http://127.0.0.1:{self.port(user)}/"

    def port(self, user: str) -> int:
        if user not in self._open:
            port = free_port()
            options = ["-i", str(KEY), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
            command = ["ssh", "-q", *options, "-N", "-L", f"{port}:127.0.0.1:{PORT}", f"{user}@{self._address}"]
            self._open[user] = port, subprocess.Popen(command)
            wait_until(lambda: is_open(port), f"the tunnel of {user} is open")
        return self._open[user][0]

    def close(self) -> None:
        for _port, process in self._open.values():
            process.terminate()
            process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture(scope="session")
def playwright_() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def network() -> Iterator[OwnNetwork]:
    """The browser's own: a request to another host than the page's would get nowhere."""
    made = OwnNetwork()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def browser(
    playwright_: Playwright, network: OwnNetwork, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    program = network.program(CHROMIUM, tmp_path_factory.mktemp("browser") / "chromium")
    started = playwright_.chromium.launch(executable_path=program, args=ARGUMENTS)
    yield started
    started.close()


@pytest.fixture(scope="module")
def tunnels(host: Host) -> Iterator[Tunnels]:
    made = Tunnels(str(host.ansible.get_variables()["ansible_host"]))
    yield made
    made.close()


View = Callable[..., Viewer]


@pytest.fixture
def view(browser: Browser, network: OwnNetwork, tunnels: Tunnels) -> Iterator[View]:
    """Makes a viewer of the page for a user. After each test: nothing was asked of another host than the page's."""
    made: list[Viewer] = []

    def new(user: str = "alice", size: tuple[int, int] = WIDE, scheme: str = "light") -> Viewer:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
        )
        made.append(Viewer(context, f"http://127.0.0.1:{network.forward(tunnels.port(user))}/"))
        return made[-1]

    yield new
    for viewer in made:
        own = urlsplit(viewer.url).netloc
        foreign = {one for one in viewer.requests if urlsplit(one).netloc not in ("", own)}
        viewer.context.close()
        assert not foreign
        assert not viewer.errors, viewer.errors


@pytest.fixture
def alice(view: View) -> Viewer:
    """She may change the fleet."""
    return view("alice")


@pytest.fixture(scope="module", autouse=True)
def inventory(host: Host) -> None:
    """Each file of tests begins with the inventory of the first commit."""
    git = "git -C /srv/inventory -c user.name=lab -c user.email=lab@desk"
    first = host.check_output(f"{git} rev-list --max-parents=0 HEAD")
    host.check_output(
        f"umask 0002; {git} checkout --quiet {first} . && ({git} diff --cached --quiet || {git} commit -qm Reset)"
    )
