"""``python -m bgjobs …`` is ``flask bgjobs …``: for where the flask script is not on the path."""

import sys

from flask.cli import FlaskGroup

if __name__ == "__main__":
    FlaskGroup(name="flask").main(args=["bgjobs", *sys.argv[1:]], prog_name="flask")
