"""The first code of each process of ours: run by its path, so that nothing is imported before it is wanted.

``python -P boot.py MODULE DETACH CHANNEL``: MODULE is one of ours with a ``main()``; DETACH is 1 for a
process that outlives its starter; CHANNEL is the descriptor handed to ``main``, or -1.
"""

import importlib
import importlib.util
import os
import sys


def boot() -> None:
    module, detach, channel = sys.argv[1:4]
    # The starter waits for this process only, which leaves at once: what goes on is nobody's child, so it
    # becomes no zombie of a web worker and is not found among its children.
    if detach == "1" and os.fork() != 0:
        os._exit(0)
    if importlib.util.find_spec("bgjobs") is None:  # a clone that is not installed
        sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    importlib.import_module(module).main(int(channel))


if __name__ == "__main__":
    boot()
