"""A stand-in for the Hugging Face hub: the part of its API that the CLI and this collection ask, over folders.

    hub_stand_in.py FOLDER [PORT]     serves FOLDER/OWNER/NAME as repositories

What it says was taken from huggingface_hub 2.4's own reading of answers: `/api/models`, the tree of
a revision, `/resolve/` with ETag, X-Repo-Commit and ranges, and X-Error-Code where it refuses. It knows no
Xet storage. It counts the bytes of files that it sent, and cuts one off where a test asks for that.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CHUNK = 64 << 10
GITATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
"""Every repository of the hub has this file."""
LFS_BYTES = 100_000
"""Files from this size on are in Git LFS, as weights are on the hub: their blobs are named by SHA-256."""


@dataclass
class Hub:
    """folder: OWNER/NAME/files. token: the one it knows. gated: repositories that this token may not read
    either; private: those that are hidden without it. cut: path -> bytes after which its next transfer breaks off.
    broken: paths that it fails to send. claims: path -> bytes that it says a file has. planted: repository -> files
    whose paths no folder can hold."""

    folder: Path
    token: str = "hf_known_token"
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    cut: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    claims: dict[str, int] = field(default_factory=dict)
    planted: dict[str, dict[str, bytes]] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    def files(self, repo: str) -> dict[str, bytes]:
        root = self.folder / repo
        files = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
        return {".gitattributes": GITATTRIBUTES, **files, **self.planted.get(repo, {})} if files else {}

    def commit(self, repo: str) -> str:
        """Changes when a file changes."""
        return hashlib.sha1(
            json.dumps({path: _oid(data) for path, data in self.files(repo).items()}).encode()
        ).hexdigest()


@contextmanager
def serving(hub: Hub, address: str = "0.0.0.0", port: int = 0) -> Iterator[int]:
    """The port that the stand-in listens on."""
    server = ThreadingHTTPServer((address, port), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    server_version = "hub-stand-in"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            self._answer(self._info, *match.groups())
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            self._answer(self._tree, *match.groups())
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._answer(self._file, *match.groups())
        else:
            self._refuse(404, "", "Not found")

    do_HEAD = do_GET

    def log_message(self, *_arguments: Any) -> None:
        pass

    def _answer(self, answer: Any, repo: str, revision: str | None, *rest: str) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token != self.hub.token:
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        if not self.hub.files(repo) or (repo in self.hub.private and not token):
            return self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        if repo in self.hub.gated and rest:
            return self._refuse(403 if token else 401, "GatedRepo", f"Access to model {repo} is restricted")
        if revision not in (None, "main", self.hub.commit(repo)):
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        answer(repo, *rest)
        return None

    def _info(self, repo: str) -> None:
        files = [
            {"rfilename": one["path"], **{key: one[key] for key in ("size", "lfs") if key in one}, "blobId": one["oid"]}
            for one in _entries(self.hub, repo)
        ]
        about = {"id": repo, "modelId": repo, "sha": self.hub.commit(repo), "siblings": files}
        self._json({**about, "gated": "manual" if repo in self.hub.gated else False, "private": False, "tags": []})

    def _tree(self, repo: str) -> None:
        self._json(_entries(self.hub, repo))

    def _file(self, repo: str, path: str) -> None:
        data = self.hub.files(repo).get(path)
        if data is None:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        if path in self.hub.broken:
            return self._refuse(403, "", "Something is broken")  # the client tries again after a 500
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = int(asked[2]) + 1 if asked and asked[2] else len(data)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", f'"{_etag(data)}"')
        self.send_header("X-Repo-Commit", self.hub.commit(repo))
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.hub.ranges.append(f"{path} {asked[0]}")
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        if len(data) >= LFS_BYTES:
            self.send_header("X-Linked-Etag", f'"{_etag(data)}"')
            self.send_header("X-Linked-Size", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self._send(path, data[start:end])
        return None

    def _send(self, path: str, data: bytes) -> None:
        end = self.hub.cut.pop(path, len(data))
        for place in range(0, min(end, len(data)), CHUNK):
            chunk = data[place : min(place + CHUNK, end)]
            self.wfile.write(chunk)
            self.hub.sent[path] += len(chunk)
        if end < len(data):
            self.wfile.flush()
            self.close_connection = True

    def _json(self, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _entries(hub: Hub, repo: str) -> list[dict[str, Any]]:
    entries = []
    for path, data in hub.files(repo).items():
        size = hub.claims.get(path, len(data))
        entry: dict[str, Any] = {"type": "file", "path": path, "size": size, "oid": _oid(data)}
        if len(data) >= LFS_BYTES:
            entry["lfs"] = {"oid": _etag(data), "sha256": _etag(data), "size": len(data), "pointerSize": 134}
        entries.append(entry)
    return entries


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if len(data) >= LFS_BYTES else _oid(data)


def _oid(data: bytes) -> str:
    """The name of a blob in Git."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


if __name__ == "__main__":
    with serving(Hub(Path(sys.argv[1])), port=int(sys.argv[2]) if len(sys.argv) > 2 else 8080) as port:
        print(f"http://0.0.0.0:{port}", flush=True)
        threading.Event().wait()
