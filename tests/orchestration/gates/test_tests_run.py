"""A test passes if a runner collects it, and what was printed does not say otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestration.gates.projects import verdict

TEST = "def test_a():\n    assert f()\n"
FILE = "tests/test_x.py"
CLASS = "class TestLogin:\n    def test_a(self): ...\n"


def found_in(root: Path, text: str, name: str = "test_a", **more: str) -> str:
    return verdict(root, {FILE: text, **more}, "test", name, FILE)


@pytest.mark.parametrize(
    "text",
    [
        TEST,
        "async def test_a(): ...\n",
        CLASS,
        "class Login(unittest.TestCase):\n    def test_a(self): ...\n",
        "try:\n    import x\nexcept ImportError:\n    x = None\nif x:\n    def test_a(): ...\n",
        '@pytest.mark.parametrize("a", [1])\ndef test_a(a): ...\n',
    ],
)
def test_a_test_that_pytest_collects_passes(text: str, tmp_path: Path) -> None:
    assert found_in(tmp_path, text).startswith("pass: "), text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("class TestLogin:\n    def __init__(self): ...\n    def test_a(self): ...\n", "__init__"),
        ("class Login:\n    def test_a(self): ...\n", "a class called Login"),
        ("def test_a(): ...\ndef test_b(): ...\n", "test_c"),
        ("def helper():\n    def test_a(): ...\n", "inside of a function"),
        ("if False:\n    def test_a(): ...\n", "a condition that never holds"),
        ("@pytest.fixture\ndef test_a(): ...\n", "it is a fixture"),
        ('"""def test_a(): ..."""\n# def test_a(): ...\n', "no test that can be read"),
        ("def test_a(:\n", "no test that can be read"),
    ],
)
def test_what_pytest_does_not_collect_fails(text: str, reason: str, tmp_path: Path) -> None:
    name = "test_c" if reason == "test_c" else "test_a"
    found = found_in(tmp_path, text, name)
    assert found.startswith("fail: ") and reason in found, found


@pytest.mark.parametrize(
    "text",
    [
        "@pytest.mark.skip\n" + TEST,
        '@pytest.mark.skip(reason="later")\n' + TEST,
        "pytestmark = pytest.mark.skip\n" + TEST,
        "@unittest.skip('x')\n" + CLASS,
        'def test_a():\n    """It."""\n    pytest.skip("later")\n',
    ],
)
def test_a_skipped_test_warns(text: str, tmp_path: Path) -> None:
    assert found_in(tmp_path, text).startswith("warn: "), text


BASE = "class Base:\n    def test_a(self): ...\n    def test_b(self): ...\n"


@pytest.mark.parametrize(
    ("classes", "name", "expected"),
    [
        (f"{BASE}class TestLogin(Base):\n    pass\n", "TestLogin::test_a", "pass"),
        (f"{BASE}class Mid(Base): ...\nclass TestLogin(Mid): ...\n", "TestLogin::test_b", "pass"),
        (f"{BASE}class TestLogin(Base):\n    test_a = None\n", "TestLogin::test_b", "pass"),
        (f"{BASE}class TestLogin:\n    def test_c(self): ...\n", "TestLogin::test_a", "fail"),
        ("class A(B): ...\nclass B(A): ...\n", "A::test_a", "fail"),
    ],
)
def test_a_class_has_the_tests_of_those_that_it_derives_from(
    classes: str, name: str, expected: str, tmp_path: Path
) -> None:
    assert found_in(tmp_path, classes, name).startswith(f"{expected}: ")


def test_a_test_that_is_defined_again_counts_once(tmp_path: Path) -> None:
    found = found_in(tmp_path, TEST + "@pytest.mark.skip\n" + TEST)
    assert found == f"warn: {FILE}:4 is skipped"
    found = found_in(tmp_path, CLASS + CLASS.replace("test_a", "test_b"))
    assert found == f"fail: {FILE}:2 is not collected: line 3 defines its name again"


@pytest.mark.parametrize(
    ("configuration", "path", "text", "expected"),
    [
        ({"pytest.ini": "[pytest]\npython_files = check_*.py\n"}, "tests/check_x.py", TEST, "pass"),
        ({"pytest.ini": "[pytest]\npython_files = check_*.py\n"}, FILE, TEST, "fail"),
        ({"pyproject.toml": '[tool.pytest.ini_options]\npython_functions = ["check"]\n'}, FILE,
         TEST, "fail"),
        ({"setup.cfg": "[tool:pytest]\npython_classes = *Suite\n"}, FILE,
         CLASS.replace("TestLogin", "LoginSuite"), "pass"),
        ({"tox.ini": "[pytest]\ntestpaths = tests\n"}, "app/test_x.py", TEST, "fail"),
        ({"tox.ini": "[pytest]\ntestpaths = tests\n"}, FILE, TEST, "pass"),
        ({"pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = "tests"\n',
          "web/pytest.ini": "[pytest]\n"}, "web/test_x.py", TEST, "pass"),
        ({"pyproject.toml": "not [ TOML"}, FILE, TEST, "pass"),
        ({"pyproject.toml": '[tool.pytest]\npython_files = ["check_*.py"]\n'}, FILE, TEST, "fail"),
        ({"pytest.toml": '[pytest]\npython_files = ["check_*.py"]\n'}, "tests/check_x.py", TEST,
         "pass"),
        ({}, "tests/login.py", TEST, "fail"),
        ({}, "app/tests.py", TEST, "fail"),
        ({}, "app/tests.py", "class A(TestCase):\n    def test_a(self): ...\n", "pass"),
    ],
)  # fmt: skip
def test_the_projects_own_rules_hold(
    configuration: dict[str, str], path: str, text: str, expected: str, tmp_path: Path
) -> None:
    found = verdict(tmp_path, {**configuration, path: text}, "test", "test_a", path)
    assert found.startswith(f"{expected}: "), found


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("", "pass: tests/test_x.py:1 is collected; nothing shows whether it was run"),
        ("....                        [100%]\n4 passed in 0.1s\n", "pass: "),
        ("tests/test_x.py ..F.  [ 50%]\n", "pass: tests/test_x.py:1 is there, and"),
        ("test_x.py ....\n", "pass: tests/test_x.py:1 is there, and"),
        ("tests/test_x.py::test_a PASSED   [100%]\n",
         "pass: tests/test_x.py:1 was run and passed"),
        ("\x1b[32mtests/test_x.py::test_a[1] PASSED\x1b[0m\n", "pass: tests/test_x.py:1 was run"),
        ("[gw1] [ 50%] PASSED tests/test_x.py::test_a \n", "pass: tests/test_x.py:1 was run"),
        ("tests/test_x.py::test_a FAILED [100%]\n", "fail: tests/test_x.py:1 was run and failed"),
        ("tests/test_x.py::test_a SKIPPED (x) [100%]\n", "warn: "),
        ("tests/test_x.py::test_b PASSED [100%]\n",
         "fail: tests/test_x.py:1 exists, and the tests that ran do not include it"),
        ("tests/test_y.py ....  [100%]\n",
         "fail: tests/test_x.py:1 exists, and the tests that ran do not include tests/test_x.py"),
        ("....\nFAILED tests/test_y.py::test_b - assert\n", "pass: "),
        ("....\ntests/test_y.py::test_b\n  Warning: x\n", "pass: "),
        ("PASS src/a.test.ts\n", "pass: "),
    ],
)  # fmt: skip
def test_what_was_printed_counts(printed: str, expected: str, tmp_path: Path) -> None:
    found = verdict(tmp_path, {FILE: TEST}, "test", "test_a", FILE, printed=printed)
    assert found.startswith(expected), found


JEST = "describe('login', () => {\n  it('shows an error', () => {})\n})\n"


@pytest.mark.parametrize(
    ("path", "text", "printed", "expected"),
    [
        ("src/a.test.ts", JEST, "", "pass: "),
        ("src/__tests__/a.ts", JEST, "", "pass: "),
        ("src/a.ts", JEST, "", "its name is that of no test file"),
        ("src/a.test.ts", JEST.replace("it(", "it.skip("), "", "warn: "),
        ("src/a.test.ts", JEST.replace("it(", "xit("), "", "warn: "),
        ("src/a.test.ts", "// it('shows an error')\n", "", "fail: there is no test"),
        ("src/a.test.ts", JEST, " PASS  src/a.test.ts (5 ms)\n", "pass: src/a.test.ts:2 is there"),
        ("src/a.test.ts", JEST, " \u2713 src/a.test.ts (1 test) 3ms\n", "pass: src/a.test.ts:2 is"),
        ("src/a.test.ts", JEST, "PASS src/b.test.ts\n", "do not include src/a.test.ts"),
    ],
)
def test_titles_of_scripts(
    path: str, text: str, printed: str, expected: str, tmp_path: Path
) -> None:
    found = verdict(tmp_path, {path: text}, "test", "shows an error", path, printed=printed)
    assert expected in found, found


def test_tests_of_go(tmp_path: Path) -> None:
    text = "func TestLogin(t *testing.T) {\n\tt.Run()\n}\n"
    named = ("test", "TestLogin", "login_test.go")
    assert verdict(tmp_path, {"login_test.go": text}, *named).startswith("pass: ")
    ran = verdict(tmp_path, {"login_test.go": text}, *named, printed="--- PASS: TestLogin (0.0s)\n")
    assert ran == "pass: login_test.go:1 was run and passed"
    skipped = text.replace("t.Run", "t.Skip")
    assert verdict(tmp_path, {"login_test.go": skipped}, *named).startswith("warn: ")
    found = verdict(tmp_path, {"login.go": text}, "test", "TestLogin", "login.go")
    assert "does not end in _test.go" in found


def test_a_whole_file_of_tests(tmp_path: Path) -> None:
    assert verdict(tmp_path, {FILE: TEST}, "test", FILE).startswith("pass: tests/test_x.py:1, the")
    assert verdict(tmp_path, {FILE: "x = 1\n"}, "test", FILE).startswith("fail: ")
    assert verdict(tmp_path, {FILE: TEST}, "test", "test_x.py").startswith("pass: ")
    assert verdict(tmp_path, {FILE: TEST}, "test", "tests/test_y.py").startswith("fail: ")


def test_a_test_is_found_by_its_name_alone(tmp_path: Path) -> None:
    files = {FILE: CLASS, "README.md": "test_a\n"}
    for name in ("test_a", "TestLogin::test_a", "TestLogin.test_a", "TestLogin"):
        assert verdict(tmp_path, files, "test", name).startswith("pass: ")
    assert verdict(tmp_path, files, "test", "test_b").startswith("fail: there is no test test_b")


def test_another_language_is_unknown(tmp_path: Path) -> None:
    files = {"src/a_test.rs": "#[test]\nfn test_a() {}\n"}
    assert verdict(tmp_path, files, "test", "test_a").startswith("unknown: src/a_test.rs:2")
