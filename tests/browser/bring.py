"""Have Playwright bring its own Chromium where this computer has none. What comes of it is seen by the tests."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from live import chromium

# Without a way to the internet it should be over soon; with one, a hundred megabytes take a while.
CONNECTS_WITHIN_MS = "5000"
SECONDS = 600


def main() -> None:
    if chromium() is not None:
        return
    print("There is no Chromium. Playwright is asked for its own.", flush=True)
    environment = {**os.environ, "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": CONNECTS_WITHIN_MS}
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            command,
            env=environment,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


if __name__ == "__main__":
    main()
