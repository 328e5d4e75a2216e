# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hub's API: a revision's commit, the sizes of its files, and whether access is allowed. Read-only."""

from __future__ import annotations

import http.client
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional
from urllib.parse import quote, urljoin, urlsplit

from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import COMMIT, Remote, is_plain
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import Proxy
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import is_whole
from ansible_collections.inference.fleet.plugins.module_utils.system import foreign_json
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import words_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, printable, show
from ansible_collections.inference.fleet.plugins.module_utils.system.folder import DEEPEST, LONGEST_NAME

_SILENT_SECONDS = 30
_SECONDS = 60  # of a question with its redirects, however the hub divides them
_MOST_BYTES = 8 << 20  # of an answer, which has some 350 bytes a file
_PART = 64 << 10
_LONGEST = 300  # characters of the hub's own words in a message
# huggingface_hub, utils/_http.py: this header has the error code; the text is the answer to an unknown token.
_CODE, _MESSAGE = "X-Error-Code", "X-Error-Message"
_WRONG_TOKEN = "Invalid credentials"


class Unreachable(FleetError):
    """No answer at all: the cached files may be used instead."""


class Hub:
    """endpoint: without a final slash. token: sent to that host only. proxy: without it, urllib uses the proxy of the
    environment."""

    def __init__(self, endpoint: str, token: Optional[str], proxy: Optional[Proxy] = None) -> None:
        self._endpoint = endpoint
        self._token = token
        url = proxy.for_url(endpoint) if proxy else None
        # Not urllib's own choice: that follows redirects with the token to any host, and opens ftp: and file: too.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(({"http": url, "https": url} if url else {}) if proxy else None),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    def revision(self, repo: str, revision: str) -> Remote:
        """The revision, if its files may be read. Raises FleetError with what to do otherwise."""
        answer = self._ask(
            "GET", f"/api/models/{quote(repo)}/revision/{quote(revision, safe='')}?blobs=true", repo, revision
        )
        remote = self._remote(repo, answer)
        # Everybody can read the file names of a gated repository, so ask for a file.
        smallest = min(remote.files, key=lambda path: remote.files[path])
        self._ask("HEAD", f"/{quote(repo)}/resolve/{remote.commit}/{quote(smallest)}", repo, revision)
        return remote

    def _remote(self, repo: str, answer: dict[str, Any]) -> Remote:
        commit, listed = answer.get("sha"), answer.get("siblings")
        files = {}
        if isinstance(listed, list) and all(map(_is_file, listed)):
            files = {one["rfilename"]: one.get("size") for one in listed}
        unknown = [(path, size) for path, size in files.items() if not is_whole(size)]
        if not files or unknown or not isinstance(commit, str) or not COMMIT.fullmatch(commit):
            got = f"the commit {show(commit)} and {len(files)} files"
            for path, size in unknown[:1]:
                got = f"the size {show(size)} of the file {show(path)}"
            raise FleetError(
                f"{repo}: {self._endpoint} does not report its commit, its files and their sizes in bytes: got {got}"
            )
        for path in files:
            if not is_plain(path):
                raise FleetError(
                    f"{repo}: {self._endpoint} reports a file {show(path)}, expected a relative path of printable "
                    f"characters, of at most {DEEPEST} parts of {LONGEST_NAME} bytes and without `..`, that begins "
                    "with no dash; nothing of this repository is downloaded"
                )
        return Remote(commit, files)

    def _ask(self, method: str, path: str, repo: str, revision: str) -> dict[str, Any]:
        try:
            with _limited(_SECONDS):
                return self._answer(method, self._endpoint + path, repo, revision)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self._unreachable(repo, printable(words_of(error))[:_LONGEST])) from error

    def _answer(self, method: str, url: str, repo: str, revision: str) -> dict[str, Any]:
        for _hop in range(5):  # a renamed repository redirects
            try:
                with self._opener.open(self._request(method, url), timeout=_SILENT_SECONDS) as answer:
                    return self._parsed(repo, _content(answer)) if method == "GET" else {}
            except urllib.error.HTTPError as error:
                if error.code // 100 != 3:
                    raise FleetError(self._refused(error.code, error.headers, repo, revision)) from error
                if method == "HEAD":
                    return {}  # to the file's storage: access is allowed
                location = error.headers.get("Location", "")
                if not (target := _redirected(url, location)):
                    expected = "expected a path of the same host, not from https to http"
                    raise FleetError(f"{repo}: {url} redirects to {show(location)}, {expected}") from error
                url = target
        raise FleetError(f"{repo}: {self._endpoint} redirects again and again")

    def _parsed(self, repo: str, content: bytes) -> dict[str, Any]:
        try:
            answer = foreign_json.parse(content) if len(content) <= _MOST_BYTES else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            what = "it answers with something else than a repository's data"
            if len(content) > _MOST_BYTES:
                what = f"it answers with more than the {_MOST_BYTES >> 20} MB that a repository's data may have"
            raise Unreachable(self._unreachable(repo, what))
        return answer

    def _request(self, method: str, url: str) -> urllib.request.Request:
        headers = {"User-Agent": "inference.fleet"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return urllib.request.Request(url, method=method, headers=headers)

    def _unreachable(self, repo: str, why: object) -> str:
        return (
            f"{repo}: {self._endpoint} cannot be reached from this host ({why}); see its DNS and fleet_proxy, set "
            "fleet_cache.endpoint to use a mirror, or copy the cache to this host and set "
            "fleet_cache.downloads: never"
        )

    def _refused(self, status: int, headers: Any, repo: str, revision: str) -> str:
        code, message = headers.get(_CODE, ""), printable(headers.get(_MESSAGE, "")[:_LONGEST])
        page = f"{self._endpoint}/{repo}"
        if code == "GatedRepo":
            whose = (
                "with the account of fleet_hf_token"
                if self._token
                else "and give that account's token as fleet_hf_token"
            )
            return f"{repo}: is gated, and {_no_access(bool(self._token))}; ask for access at {page} {whose}"
        if status == 401 and _WRONG_TOKEN in message:
            make = f"create a token at {self._endpoint}/settings/tokens"
            return f"{repo}: {self._endpoint} does not know the token in fleet_hf_token; {make}"
        if code == "RevisionNotFound":
            return f"{repo}: has no revision {revision!r}; see {page}/commits/main"
        if code == "RepoNotFound" or status in (401, 404):
            hidden = "the token may not see it" if self._token else "it is private or gated: set fleet_hf_token"
            return f"{repo}: {self._endpoint} has no such repository, or {hidden}; see {page} and the model's `source`"
        if status == 403:
            return f"{repo}: the token in fleet_hf_token may not read it ({message or 'forbidden'}); see {page}"
        return f"{repo}: {self._endpoint} answered {status} {message}".rstrip() + "; try again later"


def _no_access(has_token: bool) -> str:
    return "the token's account has no access" if has_token else "there is no token"


def _is_file(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("rfilename"), str)


def _redirected(url: str, location: str) -> Optional[str]:
    """Where a redirect leads, if the token may be sent there: to the same host and port, and never without the
    encryption that the URL has."""
    try:
        target = urljoin(url, location)
        before, after = urlsplit(url), urlsplit(target)
    except ValueError:  # such as http://[
        return None
    same = after.netloc == before.netloc and after.scheme in {before.scheme, "https"}
    return target if same and target.isascii() and target.isprintable() else None


def _content(answer: Any) -> bytes:
    """Its beginning, just longer than _MOST_BYTES, or all of it. `read` would read on without end in a chunk that
    claims a length of -1."""
    content = bytearray()
    while len(content) <= _MOST_BYTES and (part := answer.read1(_PART)):
        content += part
    return bytes(content)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises TimeoutError after that time. The limit of a socket begins again with each byte."""

    def end(*_signal: object) -> None:
        raise TimeoutError(f"expected a complete answer within {seconds:g} s, got none")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # again, where the first is taken for one address' fault
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
