"""S3: only plain public functions that the approved class defines itself may be called; looking harms nothing."""

import asyncio
import functools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgjobs import run_background_job
from bgjobs.approval import Approval
from bgjobs.exceptions import MethodNotApproved

touched = []


class Tripwire:
    """A descriptor that tells when somebody looks."""

    def __get__(self, instance, owner):
        touched.append("descriptor")
        return lambda *args: touched.append("called")


class Helpers:
    def inherited(self):
        touched.append("inherited")


class Meta(type):
    def of_metaclass(cls):
        touched.append("metaclass")


class Report(Helpers, metaclass=Meta):
    attribute = 5
    text = "print"
    builtin = len
    other_class = dict
    module = os
    lambda_attribute = lambda self: touched.append("lambda")  # noqa: E731
    static_lambda = staticmethod(lambda: touched.append("lambda"))
    partial = functools.partial(print, "x")
    partial_method = functools.partialmethod(print, "x")
    bound_method = "x".join
    tripwire = Tripwire()
    cached = functools.lru_cache(lambda self: touched.append("cached"))

    class Nested:
        pass

    def __init__(self):
        touched.append("init")

    def __call__(self):
        touched.append("call")

    def __getattr__(self, name):
        touched.append(f"getattr {name}")
        return lambda: None

    def _private(self):
        touched.append("private")

    def __mangled(self):
        touched.append("mangled")

    @property
    def computed(self):
        touched.append("property")
        return lambda: None

    @functools.cached_property
    def computed_once(self):
        touched.append("property")
        return lambda: None

    def generator(self):
        touched.append("generator")
        yield 1

    @functools.wraps(generator)
    def wrapped_generator(self):
        touched.append("generator")

    async def coroutine(self):
        touched.append("coroutine")

    async def asynchronous_generator(self):
        yield 1

    def run(self):
        touched.append("run")
        return "ran"

    @staticmethod
    def static(number):
        return number + 1

    @classmethod
    def of_class(cls, number):
        return [cls.__name__, number]

    @functools.wraps(run)
    def decorated(self, *args, **kwargs):
        return "decorated"


NAME = "test_refused_methods.Report"

REFUSED = [
    "__init__",
    "__new__",
    "__class__",
    "__reduce__",
    "__reduce_ex__",
    "__call__",
    "__dict__",
    "__getattr__",
    "__getattribute__",
    "__setattr__",
    "__subclasshook__",
    "__init_subclass__",
    "_private",
    "_Report__mangled",
    "__mangled",
    "mro",
    "of_metaclass",
    "inherited",
    "attribute",
    "text",
    "builtin",
    "other_class",
    "module",
    "lambda_attribute",
    "static_lambda",
    "partial",
    "partial_method",
    "bound_method",
    "tripwire",
    "cached",
    "Nested",
    "computed",
    "computed_once",
    "generator",
    "wrapped_generator",
    "coroutine",
    "asynchronous_generator",
    "missing",
    "run.__globals__",
    "run.__func__",
    "run()",
    "run\n",
    "\nrun",
    "run\0",
    "run ",
    " run",
    "run\u200d",
    "ｒｕｎ",
    "rυn",
    "Run",
    "RUN",
    "ru",
    "runn",
    "",
    "x" * 10_000,
    "%s",
    "\x1b[2Jrun",
    None,
    True,
    5,
    b"run",
    ["run"],
    Report.run,
    type("Text", (str,), {})("run"),
]


@pytest.fixture(scope="module")
def site(make_site):
    site = make_site(Report)
    site.dispatch(Report, "run")
    return site


@pytest.mark.parametrize("method", REFUSED, ids=lambda method: ascii(method).partition(" at 0x")[0][:30])
def test_what_is_no_plain_public_method_of_the_class_itself_is_refused_untouched(site, method):
    before = site.count()
    touched.clear()
    with site.app.app_context(), pytest.raises(MethodNotApproved) as refused:
        run_background_job(Report, method)
    assert touched == []
    assert site.count() == before
    assert refused.value.class_name == NAME
    assert len(str(refused.value)) < 400
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "method", [name for name in REFUSED if type(name) is str], ids=lambda name: ascii(name)[:30]
)
def test_the_list_of_callable_methods_does_not_contain_it(site, method):
    assert method not in site.state.approval.methods_of(NAME)


def test_approving_a_class_looks_at_it_without_touching_it():
    touched.clear()
    Approval().add([Report])
    assert touched == []


def test_the_list_of_callable_methods_is_what_can_be_dispatched(site):
    touched.clear()
    assert site.state.approval.methods_of(NAME) == ["decorated", "of_class", "run", "static"]
    assert touched == []


@pytest.mark.parametrize(
    ("method", "parameters", "result"),
    [
        ("run", None, "ran"),
        ("static", [4], 5),
        ("static", {"number": 4}, 5),
        ("of_class", [4], ["Report", 4]),
        ("of_class", {"number": 4}, ["Report", 4]),
        ("decorated", None, "decorated"),
    ],
)
def test_instance_static_and_class_methods_run(site, method, parameters, result):
    handle = site.dispatch(Report, method, parameters)
    assert (handle.status, site.row(handle.id).result) == ("completed", result)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("generator", "generator"),
        ("coroutine", "asyncio.run"),
        ("computed", "not a plain method"),
        ("inherited", "not among the methods"),
        ("_private", "not the name of a public method"),
    ],
)
def test_the_refusal_says_why_and_what_to_do(site, method, reason):
    with pytest.raises(MethodNotApproved, match=reason) as refused:
        site.dispatch(Report, method)
    assert reason in refused.value.reason
    assert str(refused.value).endswith("Dispatch a public method that the approved class defines itself.")


@given(name=st.text() | st.from_regex(r"\A_?(run|static)\w?\s?\Z"))
def test_no_text_but_the_names_of_the_methods_is_callable(name):
    approval = Approval()
    approval.add([Report])
    touched.clear()
    if name not in ("run", "static", "of_class", "decorated"):
        with pytest.raises(MethodNotApproved):
            approval.call(Report, name, None)
    assert touched == []


def test_a_coroutine_in_a_plain_method_is_the_way_out(make_site):
    site = make_site(Asynchronous)
    handle = site.dispatch(Asynchronous, "run")
    assert site.row(handle.id).result == "awaited"


class Asynchronous:
    def run(self):
        async def work():
            await asyncio.sleep(0)
            return "awaited"

        return asyncio.run(work())
