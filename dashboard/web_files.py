"""The page's own files and its libraries, read once from the disk and served from memory.

In comes the folder of the page with its node_modules; out goes a table from path to file: nothing
that is not in the table can be asked for. The libraries are the few files named here, under
/lib/, as npm laid them: no bundler, and never another host.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

LIBRARIES = {
    "/lib/preact.js": "preact/dist/preact.module.js",
    "/lib/preact-hooks.js": "preact/hooks/dist/hooks.module.js",
    "/lib/signals-core.js": "@preact/signals-core/dist/signals-core.module.js",
    "/lib/signals.js": "@preact/signals/dist/signals.module.js",
    "/lib/htm.js": "htm/dist/htm.module.js",
    "/lib/uplot.js": "uplot/dist/uPlot.esm.js",
    "/lib/uplot.css": "uplot/dist/uPlot.min.css",
    "/lib/maplibre-gl.mjs": "maplibre-gl/dist/maplibre-gl.mjs",
    "/lib/maplibre-gl-worker.mjs": "maplibre-gl/dist/maplibre-gl-worker.mjs",
}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
_SOURCE_MAP = re.compile(rb"\n//# sourceMappingURL=\S+\s*$")


class LibrariesMissing(Exception):
    """The page's libraries are not where npm would have put them."""

    def __init__(self, folder: Path, missing: list[str]) -> None:
        self.folder = folder
        self.missing = missing
        super().__init__(
            f"{folder}: {', '.join(missing)} not found; run `npm ci` in {folder.parent}"
        )


class WebFile(NamedTuple):
    """One file as it is sent."""

    body: bytes
    gzipped: bytes
    etag: str
    content_type: str


def read_web_files(web: Path) -> dict[str, WebFile]:
    """Everything that the page may ask for, by path; raises LibrariesMissing."""
    modules = web / "node_modules"
    missing = [place for place in LIBRARIES.values() if not (modules / place).is_file()]
    if missing:
        raise LibrariesMissing(modules, missing)
    files = {path: _file(modules / place) for path, place in LIBRARIES.items()}
    for file in sorted(web.rglob("*")):
        if file.suffix in TYPES and modules not in file.parents:
            files[f"/{file.relative_to(web).as_posix()}"] = _file(file)
    files["/"] = files.pop("/index.html")
    return files


def import_map_hash(index: WebFile) -> str:
    """What the content security policy must allow: the page's one inline script, its import map."""
    found = _IMPORT_MAP.search(index.body.decode())
    script = found[1] if found else ""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _file(file: Path) -> WebFile:
    body = _SOURCE_MAP.sub(b"\n", file.read_bytes())
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return WebFile(body, gzip.compress(body, 6, mtime=0), etag, TYPES[file.suffix])
