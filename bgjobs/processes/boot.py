"""The first code of each process of ours: run by its path, so that nothing is imported before it is wanted.

``python -P boot.py MODULE DETACH CHANNEL [AHEAD ROLE]``: MODULE is one of ours with a ``main()``; DETACH is 1 for
a process that outlives its starter; CHANNEL is the descriptor handed to ``main``, or -1. AHEAD is the module of a
child in ROLE that this process will want: it is started before all else, so that both import at the same time and
not one after the other. ``main`` gets the socket to it and the child itself.
"""

import importlib
import importlib.util
import os
import socket
import subprocess
import sys


def boot() -> None:
    module, detach, channel, *ahead = sys.argv[1:]
    # The starter waits for this process only, which leaves at once: what goes on is nobody's child, so it
    # becomes no zombie of a web worker and is not found among its children.
    if detach == "1" and os.fork() != 0:
        os._exit(0)
    children = [start_ahead(*ahead)] if ahead else []
    if importlib.util.find_spec("bgjobs") is None:  # a clone that is not installed
        sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    importlib.import_module(module).main(int(channel), *children)


def start_ahead(module: str, role: str) -> tuple[socket.socket, "subprocess.Popen[bytes]"] | None:
    """Start a process that leaves when the socket is closed; None when there is no room for it now."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            arguments = [sys.executable, "-P", __file__, module, "0", str(theirs.fileno())]
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "BGJOBS_ROLE": role},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
    except OSError:
        ours.close()
        return None
    return ours, child


if __name__ == "__main__":
    boot()
