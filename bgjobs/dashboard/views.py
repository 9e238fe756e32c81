from flask import Blueprint


def make_blueprint(url):
    return Blueprint("bgjobs", __name__)
