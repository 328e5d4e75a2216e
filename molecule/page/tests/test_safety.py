"""Other web pages, and what containers and models say: nothing of it acts in the page."""

from __future__ import annotations

import itertools
import json
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from lab.browser import RUN_SECONDS, Tunnels, Viewer
from lab.fixtures import inspect
from lab.own_network import OwnNetwork
from playwright.sync_api import expect
from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]
HOSTILE = "<img src=/no-such onerror='window.hacked=1'><script>window.hacked=1</script>\x1b[31mred\x1b]0;title\x07"
SEEN = "<img src=/no-such onerror="
ELSEWHERE = """<!doctype html><title>elsewhere</title>
<form id=form method=post enctype=text/plain target=inside action="PAGEgradio_api/queue/join">
<input name='{"data":["' value='"]}'></form><iframe name=inside></iframe><iframe id=framed src="PAGE"></iframe>"""
FETCH = """([url, mode, body]) => fetch(url, {method: 'POST', mode, body, credentials: 'include'}).then(
  () => 'sent', () => 'failed')"""


@pytest.fixture
def elsewhere(alice: Viewer, network: OwnNetwork) -> Iterator[str]:
    """Another web page on this machine, which its visitor has open beside the page of the fleet."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(ELSEWHERE.replace("PAGE", alice.url).encode())

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers, bind_and_activate=False)
    server.socket.close()
    server.socket = network.listener()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.socket.getsockname()[1]}/"
    server.shutdown()


def test_another_web_page_in_the_same_browser_cannot_post(alice: Viewer, elsewhere: str, host: Host) -> None:
    alice.open()
    answers: list[tuple[str, str, int]] = []
    alice.context.on("response", lambda one: answers.append((one.request.method, one.url, one.status)))
    other = alice.context.new_page()
    other.goto(elsewhere)
    url = f"{alice.url}gradio_api/queue/join"
    for mode in ("cors", "no-cors"):
        body = json.dumps({"data": [], "fn_index": 0, "session_hash": "x"})
        other.evaluate(FETCH, [url, mode, body])
    other.evaluate("document.getElementById('form').submit()")
    other.wait_for_timeout(1000)
    posted = [status for method, asked, status in answers if method == "POST" and asked == url]
    assert posted
    assert set(posted) == {403}
    # Nor can it show the page in a frame.
    assert all(alice.url not in frame.url for frame in other.frames if frame.parent_frame)
    alice.requests[:] = [one for one in alice.requests if not one.startswith(elsewhere)]


@pytest.fixture
def hostile(host: Host) -> Iterator[None]:
    """A container that says and is named what a browser or a terminal would obey."""
    words = shlex.quote(HOSTILE)
    host.check_output(f"printf '%s\\n' {words} | docker exec --interactive vllm-bge-m3-1 sh -c 'cat > /proc/1/fd/1'")
    found = inspect(host, "vllm-bge-m3-1")["vllm-bge-m3-1"]["Config"]
    labels = {**found["Labels"], "model-name": HOSTILE, "model-type": HOSTILE}
    given = " ".join(f"--label {shlex.quote(f'{name}={text}')}" for name, text in labels.items())
    host.check_output(
        f"docker run --detach --name hostile --network none --entrypoint sleep {given} {found['Image']} 600"
    )
    yield
    host.check_output("docker rm --force hostile")


def unhurt(viewer: Viewer) -> None:
    assert viewer.page.evaluate("window.hacked") is None
    expect(viewer.page.locator("img[src*=no-such]")).to_have_count(0)
    assert "\x1b" not in viewer.page.content()


def test_what_a_container_says_or_is_called_is_text(alice: Viewer, hostile: None) -> None:
    alice.open("Images and recipes")
    alice.see("images", "engine-stand-in")
    unhurt(alice)
    alice.tab("Models")
    alice.pick("models", "bge-m3")
    alice.page.get_by_role("tab", name="Logs", exact=True).click()
    alice.see("model-log", SEEN, RUN_SECONDS)
    unhurt(alice)


def test_what_a_person_or_an_engine_says_is_text(alice: Viewer) -> None:
    alice.open("Models")
    alice.click("model-add")
    alice.fill("model-name", HOSTILE)
    alice.fill("model-source", HOSTILE)
    alice.fill("model-type", HOSTILE)
    alice.field("model-type").press("Enter")
    alice.click("model-review")
    alice.see("model-form", SEEN)
    unhurt(alice)
    alice.tab("Runs")
    alice.start("logs")
    alice.fill("option-lines", HOSTILE)
    alice.click("run-go")
    alice.told("expected a whole number")
    unhurt(alice)


def test_no_upload_is_larger_than_the_limit(tunnels: Tunnels) -> None:
    chunk = bytes(1 << 20)
    head = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="large.wav"\r\n\r\n'
    body = itertools.chain([head], itertools.repeat(chunk, 101), [b"\r\n--edge--\r\n"])
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    answer = requests.post(f"{tunnels.url('alice')}gradio_api/upload", data=body, headers=headers, timeout=RUN_SECONDS)
    assert answer.status_code == requests.codes.request_entity_too_large
