# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hub's API: a revision's commit, the sizes of its files, and whether access is allowed. Read-only."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Optional
from urllib.parse import quote, urljoin, urlsplit

from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import COMMIT, Remote, is_plain
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import Proxy
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import is_whole
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import words_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, printable, show
from ansible_collections.inference.fleet.plugins.module_utils.system.folder import DEEPEST

_SECONDS = 30
_MOST_BYTES = 64 << 20  # of an answer; a longer one is cut off and so no JSON
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
        handlers: list[Any] = [_NoRedirect]
        if proxy:
            url = proxy.for_url(endpoint)
            handlers.append(urllib.request.ProxyHandler({"http": url, "https": url} if url else {}))
        self._opener = urllib.request.build_opener(*handlers)

    def revision(self, repo: str, revision: str) -> Remote:
        """The revision, if its files may be read. Raises FleetError with what to do otherwise."""
        answer = self._ask(
            "GET", f"/api/models/{quote(repo)}/revision/{quote(revision, safe='')}?blobs=true", repo, revision
        )
        listed = answer.get("siblings")
        listed = listed if isinstance(listed, list) and all(isinstance(one, dict) for one in listed) else []
        files = {str(one.get("rfilename")): one.get("size") for one in listed}
        unknown = [path for path, size in files.items() if not is_whole(size)]
        if not files or unknown or not COMMIT.fullmatch(str(answer.get("sha"))):
            raise FleetError(f"{repo}: {self._endpoint} does not report its commit, its files and their sizes")
        for path in files:
            if not is_plain(path):
                raise FleetError(
                    f"{repo}: {self._endpoint} reports a file {show(path)}, expected a relative path of printable "
                    f"characters, of at most {DEEPEST} parts and without `..`, that begins with no dash; nothing of "
                    "this repository is downloaded"
                )
        # Everybody can read the file names of a gated repository, so ask for a file.
        smallest = min(files, key=lambda path: files[path])
        self._ask("HEAD", f"/{quote(repo)}/resolve/{answer['sha']}/{quote(smallest)}", repo, revision)
        return Remote(str(answer["sha"]), files)

    def _ask(self, method: str, path: str, repo: str, revision: str) -> dict[str, Any]:
        url = self._endpoint + path
        for _hop in range(5):  # a renamed repository redirects
            try:
                with self._opener.open(self._request(method, url), timeout=_SECONDS) as answer:
                    return self._parsed(repo, answer.read(_MOST_BYTES)) if method == "GET" else {}
            except urllib.error.HTTPError as error:
                location = urljoin(url, error.headers.get("Location", ""))
                if error.code // 100 != 3:
                    raise FleetError(self._refused(error.code, error.headers, repo, revision)) from error
                if method == "HEAD" or urlsplit(location).netloc != urlsplit(url).netloc:
                    return {}  # to the file's storage: access is allowed
                url = location
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(self._unreachable(repo, words_of(error))) from error
        raise FleetError(f"{repo}: {self._endpoint} redirects again and again")

    def _parsed(self, repo: str, content: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(self._unreachable(repo, "it answers with something else than a repository's data"))
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
        code, message = headers.get(_CODE, ""), printable(headers.get(_MESSAGE, "")[:500])
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


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, so that the token is sent to no other host."""

    def redirect_request(self, *_request: Any) -> None:
        return None
