"""A small shop that was there before bgjobs. Three lines were added to it, each marked, and then a job."""

from __future__ import annotations

from flask import Flask
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bgjobs import BackgroundJobs, run_background_job  # 1: the import


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
jobs = BackgroundJobs()  # 2: the object


class Order(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    confirmed: Mapped[bool] = mapped_column(default=False)


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
    app.config.from_prefixed_env()  # FLASK_BGJOBS_AUTOSTART=false is BGJOBS_AUTOSTART = False
    db.init_app(app)
    jobs.init_app(app, db)  # 3: the application
    app.add_url_rule("/orders", view_func=place_order, methods=["POST"])
    app.add_url_rule("/orders/<int:number>", view_func=show_order)
    app.add_url_rule("/health", view_func=health)
    return app


@jobs.approve
class Confirmation:
    """Tells a customer that the order has come in."""

    def send(self, order_id: int) -> None:
        order = db.session.get_one(Order, order_id)
        print(f"Dear {order.email}, we have your order {order.id}.")  # here: send a mail
        order.confirmed = True
        db.session.commit()


def place_order() -> ResponseReturnValue:
    """The order and its job are in one transaction: both are there, or neither is."""
    order = Order(email="ada@example.com")
    db.session.add(order)
    db.session.flush()
    run_background_job(Confirmation, "send", {"order_id": order.id}, session=db.session)
    db.session.commit()
    return {"order": order.id}, 201


def show_order(number: int) -> ResponseReturnValue:
    order = db.get_or_404(Order, number)
    return {"order": order.id, "confirmed": order.confirmed}


def health() -> ResponseReturnValue:
    """For a load balancer: this process answers, and reaches its database."""
    db.session.execute(db.select(1))
    return {"ok": True}
