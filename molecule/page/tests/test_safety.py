"""Other web pages, and what containers and models say: nothing of it acts in the page."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lab.browser import RUN_SECONDS, SECONDS, Viewer
from playwright.sync_api import expect
from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]
HOSTILE = "<img src=/no-such onerror=\"window.hacked='yes'\"><script>window.hacked='yes'</script>\x1b[31mred\x1b]0;title\x07"
SEEN = "<img src=/no-such onerror="
ELSEWHERE = """<!doctype html><title>elsewhere</title>
<form id=form method=post enctype=text/plain target=inside action="PAGEgradio_api/queue/join"><input name='{"data":["' value='"]}'></form>
<iframe name=inside></iframe><iframe id=framed src="PAGE"></iframe>"""


@pytest.fixture
def elsewhere(alice: Viewer) -> Iterator[str]:
    """Another web page on this machine, which its visitor has open beside the page of the fleet."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(ELSEWHERE.replace("PAGE", alice.url).encode())

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}/"
    server.shutdown()


def test_another_web_page_in_the_same_browser_cannot_post(alice: Viewer, elsewhere: str, host: Host) -> None:
    alice.open()
    answers: list[tuple[str, int]] = []
    alice.context.on("response", lambda answer: answers.append((answer.request.method, answer.status)) if "queue" in answer.url else None)
    other = alice.context.new_page()
    other.goto(elsewhere)
    url = f"{alice.url}gradio_api/queue/join"
    for mode in ("cors", "no-cors"):
        body = json.dumps({"data": [], "fn_index": 0, "session_hash": "x"})
        script = "([url, mode, body]) => fetch(url, {method: 'POST', mode, body, credentials: 'include'}).then(() => 'sent', () => 'failed')"
        other.evaluate(script, [url, mode, body])
    other.evaluate("document.getElementById('form').submit()")
    other.wait_for_timeout(1000)
    posted = [status for method, status in answers if method == "POST"]
    assert posted
    assert set(posted) == {403}
    # Nor can it show the page in a frame.
    assert all(alice.url not in frame.url for frame in other.frames if frame.parent_frame)
    alice.requests[:] = [one for one in alice.requests if not one.startswith(elsewhere)]


@pytest.fixture
def hostile(host: Host) -> Iterator[None]:
    """A container that says and is named what a browser or a terminal would obey."""
    words = HOSTILE.replace("'", "'\\''")
    host.check_output(f"printf '%b\\n' '{words}' > /root/hostile; docker exec -i vllm-bge-m3-1 sh -c 'cat > /proc/1/fd/1' < /root/hostile")
    found = json.loads(host.check_output("docker inspect vllm-bge-m3-1"))[0]["Config"]
    labels = [f"--label '{name}={words if name == 'model-name' else text}'" for name, text in found["Labels"].items()]
    host.check_output(f"docker run --detach --name hostile --network none --entrypoint sleep {' '.join(labels)} {found['Image']} 600")
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
    alice.click("model-log-start")
    alice.see("model-log", SEEN, RUN_SECONDS)
    unhurt(alice)


def test_what_a_person_or_an_engine_says_is_text(alice: Viewer) -> None:
    alice.open("Models")
    alice.click("model-add")
    alice.fill("model-name", HOSTILE)
    alice.fill("model-source", HOSTILE)
    alice.choose("model-type", HOSTILE)
    alice.click("model-review")
    alice.see("model-form", SEEN)
    unhurt(alice)
    alice.tab("Runs")
    alice.start("logs")
    alice.fill("option-lines", HOSTILE)
    alice.click("run-go")
    alice.told("expected a whole number")
    unhurt(alice)


def test_no_upload_is_larger_than_the_limit(alice: Viewer) -> None:
    alice.open()
    large = {"name": "large.wav", "mimeType": "audio/wav", "buffer": bytes(101 << 20)}
    answer = alice.context.request.post(f"{alice.url}gradio_api/upload", multipart={"files": large}, timeout=SECONDS * 4000)
    assert answer.status == 413
