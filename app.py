"""The demo application: a page with buttons, each of which dispatches a job. ``make run`` starts it.

It listens on 127.0.0.1 alone and answers nobody but a browser on this computer.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import webbrowser
from pathlib import Path

from flask import Flask, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from werkzeug.serving import make_server

from bgjobs import BackgroundJobs, ExampleJob, run_background_job
from bgjobs.dashboard.access import from_this_computer
from bgjobs.dashboard.csrf import sent_from_here

db = SQLAlchemy()
jobs = BackgroundJobs()


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = secrets.token_hex()  # another one at each start will do here
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///demo.db"
    app.config["BGJOBS_LOG_DIR"] = str(Path(__file__).resolve().parent / "storage" / "logs")
    app.config["BGJOBS_DASHBOARD_ACCESS"] = from_this_computer
    db.init_app(app)
    jobs.init_app(app, db)
    app.before_request(refuse_strangers)
    app.add_url_rule("/", view_func=home)
    app.add_url_rule("/dispatch/<case>", view_func=dispatch, methods=["POST"])
    return app


def refuse_strangers() -> None:
    if not from_this_computer(request) or (request.method == "POST" and not sent_from_here()):
        abort(403)


def home() -> ResponseReturnValue:
    return render_template("demo/home.html", job_id=session.get("job_id"))


def dispatch(case: str) -> ResponseReturnValue:
    match case:
        case "run":
            job = run_background_job(ExampleJob, "run", {"to": "ada@example.com"})
        case "slow":
            job = run_background_job(ExampleJob, "slow", {"seconds": 10})
        case "flaky":
            job = run_background_job(ExampleJob, "flaky", {"failures": 2}, retry_delay=3)
        case "fail":
            job = run_background_job(ExampleJob, "fail", {"message": "no such user"}, max_retries=1, retry_delay=2)
        case "long":
            job = run_background_job(ExampleJob, "slow", {"seconds": 300, "steps": 300})
        case "crash":
            job = run_background_job(ExampleJob, "crash", max_retries=1, retry_delay=3)
        case _:
            abort(404)
    session["job_id"] = job.id  # not in the address: the page shows the progress of whatever stands here
    return redirect(url_for("home"), 303)


def listen(first_port: int = 5000) -> socket.socket:
    """Take the first free port from ``first_port`` on."""
    for port in range(first_port, first_port + 100):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(128)
        except OSError:
            listener.close()
            continue
        if port != first_port:
            print(f"Port {first_port} is taken by another program, so this is port {port}.")
        return listener
    sys.exit(f"No port from {first_port} to {first_port + 99} is free.")


def main() -> None:
    with listen() as listener:
        host, port = listener.getsockname()
        server = make_server(host, port, create_app(), threaded=True, fd=listener.fileno())
        address = f"http://{host}:{port}"
        print(f"Home       {address}/\nDashboard  {address}/dashboard", flush=True)
        print("Ctrl-C ends this. Jobs that are running go on.", flush=True)
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin":
            webbrowser.open(f"{address}/dashboard")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
