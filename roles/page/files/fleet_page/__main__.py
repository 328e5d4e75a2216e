# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The service: `python -m fleet_page`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

SETTINGS = Path(os.environ.get("INFERENCE_FLEET_PAGE_SETTINGS", "/etc/inference-fleet-page/settings.json"))
MOST_UPLOAD = "100mb"


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

    from fleet_page.settings import Settings

    try:
        settings = Settings.read(SETTINGS)
    except FleetError as error:
        print("\n".join(error.faults), file=sys.stderr)
        return 1
    # Before Ansible and Gradio are imported, which read these then.
    os.environ["ANSIBLE_CONFIG"] = str(settings.ansible_config)
    os.environ["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(settings.folder / "tmp" / "gradio"), HF_HUB_OFFLINE="1"
    )
    import uvicorn

    from fleet_page.server import server

    tls: dict[str, Any] = {}
    if settings.certificate and settings.private_key:
        tls = {"ssl_certfile": str(settings.certificate), "ssl_keyfile": str(settings.private_key)}
    uvicorn.run(
        server(settings, MOST_UPLOAD),
        host=settings.address,
        port=settings.port,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=3,
        **tls,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
