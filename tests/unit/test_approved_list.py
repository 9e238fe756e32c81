"""The four ways to approve a class, what narrows its methods, and how a class of the started script is named."""

import subprocess
import sys
import threading

import pytest
from flask import Flask

import bgjobs
from bgjobs import BackgroundJobs, CustomBackgroundJobRunner
from bgjobs import approval as approval_module
from bgjobs.approval import Approval
from bgjobs.class_name import public_name
from bgjobs.exceptions import ClassNotApproved, ConfigurationError, MethodNotApproved


class Mail:
    def send(self):
        return "sent"

    def draft(self):
        return "drafted"

    def _secret(self):
        pass


class Outer:
    class Inner:
        def run(self):
            return "inner"


NAME = "test_approved_list.Mail"


def callable_methods(site):
    return site.state.approval.methods_of(NAME)


def approve_by_decorator(make_site):
    site = make_site()
    assert site.jobs.approve(Mail) is Mail
    return site


def approve_by_empty_call(make_site):
    site = make_site()
    site.jobs.approve()(Mail)
    return site


def approve_by_runner(make_site):
    return make_site(runner_class=type("R", (CustomBackgroundJobRunner,), {"approved_classes": [Mail]}))


def approve_by_setting(make_site):
    return make_site(approved_classes=[Mail])


def approve_by_dotted_setting(make_site):
    return make_site(approved_classes=(NAME,))


def approve_by_dict_without_methods(make_site):
    return make_site(approved_classes={Mail: None})


@pytest.mark.parametrize(
    "approve",
    [
        approve_by_decorator,
        approve_by_empty_call,
        approve_by_runner,
        approve_by_setting,
        approve_by_dotted_setting,
        approve_by_dict_without_methods,
    ],
)
def test_each_way_approves_the_public_methods_of_the_class(make_site, approve):
    site = approve(make_site)
    assert callable_methods(site) if approve is not approve_by_dotted_setting else site.state.approval.classes
    assert callable_methods(site) == ["draft", "send"]
    handle = site.dispatch(NAME, "send")
    assert (handle.status, site.row(handle.id).result) == ("completed", "sent")


def narrow_by_decorator(make_site):
    site = make_site()
    site.jobs.approve(methods=["send"])(Mail)
    return site


def narrow_by_runner(make_site):
    return make_site(runner_class=type("R", (CustomBackgroundJobRunner,), {"approved_classes": {Mail: ["send"]}}))


def narrow_by_setting(make_site):
    return make_site(approved_classes={Mail: ["send"]})


def narrow_by_dotted_setting(make_site):
    return make_site(approved_classes={NAME: ("send",)})


@pytest.mark.parametrize(
    "narrow", [narrow_by_decorator, narrow_by_runner, narrow_by_setting, narrow_by_dotted_setting]
)
def test_each_way_can_narrow_the_methods(make_site, narrow):
    site = narrow(make_site)
    assert site.dispatch(NAME, "send").status == "completed"
    with pytest.raises(MethodNotApproved, match="not among the methods"):
        site.dispatch(NAME, "draft")
    assert callable_methods(site) == ["send"]


def test_narrowing_to_nothing_leaves_nothing(make_site):
    site = make_site(approved_classes={Mail: []})
    with pytest.raises(MethodNotApproved):
        site.dispatch(Mail, "send")


@pytest.mark.parametrize("method", ["missing", "_secret", "__init__", "send\n", "mro", ""])
def test_narrowing_to_a_method_that_is_none_is_a_mistake_that_is_told(method):
    with pytest.raises(ConfigurationError, match="defines no public method"):
        Approval().add({Mail: [method]})


@pytest.mark.parametrize("methods", ["send", b"send", 5])
def test_narrowing_takes_a_list_of_names_not_a_text(methods):
    with pytest.raises(ConfigurationError, match="a list of method names"):
        Approval().add({Mail: methods})


@pytest.mark.parametrize("what", [5, None, len, Mail.send, Mail(), sys, b"test_approved_list.Mail"])
def test_only_a_class_can_be_approved(make_site, what):
    with pytest.raises(ConfigurationError, match="not a class"):
        Approval().add([what])
    if what is not None:
        with pytest.raises(ConfigurationError, match="not a class"):
            BackgroundJobs().approve(what)


def test_a_list_given_to_the_decorator_is_told_how_to_narrow():
    with pytest.raises(ConfigurationError, match="methods="):
        BackgroundJobs().approve(["send"])


@pytest.mark.parametrize(
    "path", ["Mail", "test_approved_list:Mail", "a/b.Mail", ".Mail", "a..Mail", "a.Mail\n", "a.Ｍail", "", "a.b()"]
)
def test_a_dotted_path_that_is_none_is_told_when_it_is_given(path):
    with pytest.raises(ConfigurationError, match="dotted path"):
        Approval().add([path])


def test_dotted_paths_are_imported_at_the_first_look_and_not_before(make_site, tmp_path, monkeypatch):
    (tmp_path / "late_module_of_a_test.py").write_text("class Job:\n    def run(self):\n        return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    site = make_site(approved_classes=["late_module_of_a_test.Job"])
    assert "late_module_of_a_test" not in sys.modules
    assert site.dispatch("late_module_of_a_test.Job", "run").status == "completed"
    assert "late_module_of_a_test" in sys.modules


@pytest.mark.parametrize(
    "path", ["no_such_module_at_all.Job", "test_approved_list.NoSuchClass", "test_approved_list.Outer.Inner"]
)
def test_a_dotted_path_that_leads_nowhere_is_told_at_the_first_look(make_site, path):
    site = make_site(approved_classes=[path], fresh=True)
    for _ in range(2):  # and every time after it
        with pytest.raises(ConfigurationError, match=path):
            site.dispatch(path, "run")
    assert site.state.store.database.schema_revision() is None


def test_a_dotted_path_to_something_that_is_no_class_is_told(make_site):
    site = make_site(approved_classes=["test_approved_list.callable_methods"])
    with pytest.raises(ConfigurationError, match="not a class"):
        site.dispatch("test_approved_list.callable_methods", "run")


def test_a_class_inside_a_class_goes_by_its_qualified_name(make_site):
    site = make_site(Outer.Inner)
    assert site.dispatch("test_approved_list.Outer.Inner", "run").status == "completed"


def test_a_class_may_be_approved_before_and_after_the_app_is_set_up():
    jobs = BackgroundJobs()
    jobs.approve(Mail)
    app = Flask("a_site")
    jobs.init_app(app)
    jobs.approve(Outer.Inner)
    assert {NAME, "test_approved_list.Outer.Inner"} <= set(app.extensions["bgjobs"].approval.classes)


def test_what_one_app_approves_another_does_not(make_site):
    one, other = make_site(Mail), make_site()
    assert one.dispatch(Mail, "send").status == "completed"
    with pytest.raises(ClassNotApproved):
        other.dispatch(Mail, "send")


def test_two_threads_that_resolve_the_list_at_the_same_time_both_see_all_of_it(monkeypatch):
    together, errors = threading.Barrier(2, timeout=10), []
    approval = Approval()
    approval.add_later(lambda: (together.wait(), [NAME])[1])
    real = approval_module.imported
    monkeypatch.setattr(approval_module, "imported", lambda path: (together.wait(), real(path))[1])

    def look():
        try:
            assert approval.call(NAME, "send", None).job_class is Mail
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_many_threads_may_look_at_the_list_first(make_site):
    for _ in range(20):
        site = make_site(approved_classes=[NAME, "test_approved_list.Outer"])
        start, failures = threading.Barrier(8), []

        def look(site=site, start=start, failures=failures):
            start.wait()
            try:
                assert site.state.approval.call(NAME, "send", None).job_class is Mail
                assert site.state.approval.call("bgjobs.example_job.ExampleJob", "run", None)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


def test_the_public_name_is_module_and_qualified_name():
    assert public_name(Mail) == NAME
    assert public_name(Outer.Inner) == "test_approved_list.Outer.Inner"


# It takes the one module it needs: importing the whole package is most of what the script would do.
SCRIPT = f"""
import sys, types
class Job: pass
if __name__ == "__main__":
    sys.modules["bgjobs"] = types.ModuleType("bgjobs")
    sys.modules["bgjobs"].__path__ = {list(bgjobs.__path__)!r}
    from bgjobs.class_name import public_name
    print(public_name(Job))
"""


# files, how the script is started, the name of its class
SCRIPTS = [
    (["shop.py"], ["shop.py"], "shop.Job"),
    (["pkg/__init__.py", "pkg/shop.py"], ["pkg/shop.py"], "pkg.shop.Job"),
    (
        ["pkg/__init__.py", "pkg/inner/__init__.py", "pkg/inner/shop.py"],
        ["pkg/inner/shop.py"],
        "pkg.inner.shop.Job",
    ),
    (["pkg/__init__.py", "pkg/shop.py"], ["-m", "pkg.shop"], "pkg.shop.Job"),
    (["pkg/__init__.py", "pkg/__main__.py"], ["-m", "pkg"], "pkg.__main__.Job"),
    ([], ["-c", SCRIPT], "__main__.Job"),
]


def test_a_class_of_the_started_script_is_named_as_another_process_will_import_it(tmp_path):
    started = []
    for number, (files, command, name) in enumerate(SCRIPTS):  # all at once: an interpreter takes long to start
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("" if file.endswith("__init__.py") else SCRIPT)
        process = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, text=True)
        started.append((folder, process, name))
    for folder, process, name in started:
        assert process.communicate(timeout=60)[0].strip() == name
        module = name.removesuffix(".Job")
        if module != "__main__":
            check = f"import {module}; assert hasattr({module}, 'Job')"
            subprocess.run([sys.executable, "-c", check], cwd=folder, check=True)
