"""A shop with jobs of its own, for the picture of the dashboard in the README: real jobs, real processes."""

from __future__ import annotations

import os
import random
import time
from datetime import timedelta

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.serving import make_server

from bgjobs import BackgroundJobs, current_job, run_background_job

db = SQLAlchemy()
jobs = BackgroundJobs()


@jobs.approve
class EmailNotification:
    def send(self, to: str, subject: str) -> None:
        time.sleep(random.uniform(0.1, 0.4))
        print(f"to {to}: {subject}")


@jobs.approve
class InvoiceReport:
    max_retries = 2
    retry_delay = 10

    def generate(self, month: str, fails: int = 0) -> dict[str, object]:
        if current_job.retry_count < fails:
            raise TimeoutError("the accounts server did not answer within 5 s")
        for page in range(1, 13):
            time.sleep(1)
            print(f"page {page} of 12", flush=True)
            current_job.progress(page, 12, f"{month}: page {page} of 12")
        return {"month": month, "pages": 12}


@jobs.approve
class ProductPhoto:
    max_retries = 0

    def resize(self, photo: str, widths: list[int]) -> None:
        if photo.endswith(".txt"):
            raise ValueError(f"{photo} is not a picture")
        for width in widths:
            time.sleep(0.2)
            print(f"{photo}: {width} px")


def create_app() -> Flask:
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
    app.config["BGJOBS_DASHBOARD_ACCESS"] = "open"
    app.instance_path = os.path.join(os.getcwd(), "instance")
    os.makedirs(app.instance_path, exist_ok=True)
    db.init_app(app)
    jobs.init_app(app, db)
    app.add_url_rule("/work", view_func=work, methods=["POST"])
    return app


def work() -> str:
    run_background_job(ProductPhoto, "resize", {"photo": "teapot.jpg", "widths": [320, 640, 1280]}, delay=1)
    run_background_job(InvoiceReport, "generate", {"month": "October", "fails": 1}, delay=8)
    run_background_job(ProductPhoto, "resize", {"photo": "notes.txt", "widths": [320]}, delay=13)
    run_background_job(
        EmailNotification, "send", {"to": "ada@example.com", "subject": "Your order is on its way"}, delay=22
    )
    run_background_job(
        EmailNotification, "send", {"to": "grace@example.com", "subject": "Welcome"}, delay=timedelta(hours=1)
    )
    return "at work"


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, create_app(), threaded=True)
    print(f"Home http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
