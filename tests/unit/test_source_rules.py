"""S32: what our source may not contain, read from its syntax trees."""

import ast
import re
from pathlib import Path

import pytest

import bgjobs
from bgjobs.locations import migrations_folder, templates_folder

PACKAGE = Path(bgjobs.__file__).parent
SOURCES = sorted([*PACKAGE.rglob("*.py"), *Path(migrations_folder()).rglob("*.py")])
TEMPLATES = sorted(Path(templates_folder()).rglob("*.*"))

# Modules whose reading of data can run code.
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "yaml",
    "jsonpickle",
    "joblib",
}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "os.tmpnam",
    "tempfile.mktemp",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "pickle.loads",
    "ctypes.CDLL",
}
# Where a name that is not written out is imported: names from the configuration, and our own modules.
MAY_IMPORT_BY_NAME = {"__init__.py", "app_state.py", "boot.py", "class_name.py"}
# Where a function of the C library is called that Python does not offer.
MAY_CALL_C = {"orphans.py", "huge_pages.py"}


def identifier(source):
    return str(source.relative_to(PACKAGE.parent if PACKAGE in source.parents else source.parents[2]))


def dotted(node):
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def faults(tree, name):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for module in modules:
                if module.partition(".")[0] in FORBIDDEN_MODULES:
                    yield f"{node.lineno}: imports {module}"
            imported = {f"{getattr(node, 'module', '')}.{alias.name}" for alias in node.names}
            yield from (f"{node.lineno}: imports {found}" for found in imported & FORBIDDEN_CALLS)
            if getattr(node, "module", None) in ("markupsafe", "flask") and any(
                a.name == "Markup" for a in node.names
            ):
                yield f"{node.lineno}: imports Markup"
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            forbidden = FORBIDDEN_CALLS - ({"ctypes.CDLL"} if name in MAY_CALL_C else set())
            if called in forbidden or called.rpartition(".")[2] in ("Markup", "render_template_string"):
                yield f"{node.lineno}: calls {called}"
            if called.endswith("import_module") and name not in MAY_IMPORT_BY_NAME:
                yield f"{node.lineno}: imports by name"
            for keyword in node.keywords:
                if keyword.arg == "shell" and not (
                    isinstance(keyword.value, ast.Constant) and not keyword.value.value
                ):
                    yield f"{node.lineno}: shell="
                if (
                    keyword.arg == "autoescape"
                    and isinstance(keyword.value, ast.Constant)
                    and not keyword.value.value
                ):
                    yield f"{node.lineno}: autoescape=False"


@pytest.mark.parametrize("source", SOURCES, ids=identifier)
def test_no_source_can_run_what_is_data(source):
    assert list(faults(ast.parse(source.read_text("utf-8")), source.name)) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import yaml.loader",
        "from marshal import loads",
        "eval(x)",
        "exec('x')",
        "__import__(name)",
        "os.system('x')",
        "from os import system",
        "subprocess.run(x, shell=True)",
        "subprocess.run(x, shell=flag)",
        "importlib.import_module(name)",
        "Markup(x)",
        "flask.Markup(x)",
        "from markupsafe import Markup",
        "render_template_string(x)",
        "Environment(autoescape=False)",
    ],
)
def test_the_rule_finds_what_it_forbids(code):
    assert list(faults(ast.parse(code), "some.py"))


@pytest.mark.parametrize("code", ["subprocess.run(x, shell=False)", "re.compile('x')", "json.loads(x)"])
def test_the_rule_leaves_the_rest_alone(code):
    assert not list(faults(ast.parse(code), "some.py"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_switches_escaping_off(template):
    text = template.read_text("utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|Markup\(|\{%-?\s*import\s+['\"]http", text)


def test_sources_name_no_machine_and_no_maker():
    for source in [*SOURCES, *TEMPLATES]:
        text = source.read_text("utf-8")
        assert not re.search(r"/(work|home|root|Users)/", text), source


def test_there_is_something_to_check():
    assert len(SOURCES) > 40
