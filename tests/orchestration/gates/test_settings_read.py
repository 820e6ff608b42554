"""A setting passes where code reads it and uses what it has read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestration.gates.projects import verdict

SETTINGS = "class Settings(BaseSettings):\n    login_ttl: int = 3600\nsettings = Settings()\n"

RIGHT = {
    "environ": {"a.py": 'import os\ndef f():\n    return os.environ["LOGIN_TTL"]\n'},
    "getenv, into a constant that is used": {
        "a.py": 'import os\nTTL = int(os.getenv("LOGIN_TTL", "1"))\n',
        "b.py": "from a import TTL\nprint(TTL)\n"},
    "a field of a class of settings": {
        "conf.py": SETTINGS, "b.py": "from conf import settings\nx = settings.login_ttl\n"},
    "a field with a prefix": {
        "conf.py": 'class Conf(BaseSettings):\n'
                   '    model_config = SettingsConfigDict(env_prefix="LOGIN_")\n    ttl: int = 1\n',
        "b.py": "x = get_settings().ttl\n"},
    "a field with an alias": {
        "conf.py": 'class Settings(BaseSettings):\n'
                   '    lifetime: int = Field(1, validation_alias="LOGIN_TTL")\n',
        "b.py": "x = conf.lifetime\n"},
    "a field of a class inside of one": {
        "conf.py": "class Login(BaseModel):\n    ttl: int = 1\n\n\nclass Settings(BaseSettings):\n"
                   '    model_config = SettingsConfigDict(env_nested_delimiter="__")\n'
                   "    login: Login = Login()\n",
        "b.py": "x = settings.login.ttl\n"},
    "into a name that is used": {
        "a.py": 'import os\ndef f():\n    ttl = os.getenv("LOGIN_TTL")\n    return ttl\n'},
    "django": {"site/settings.py": "LOGIN_TTL = 3600\n", "b.py": "x = settings.LOGIN_TTL\n"},
    "flask": {"a.py": 'def f(app):\n    return app.config["LOGIN_TTL"]\n'},
    "by getattr": {
        "site/settings.py": "LOGIN_TTL = 3600\n",
        "b.py": 'def f():\n    return getattr(settings, "LOGIN_TTL", 1)\n'},
    "an option of a command": {
        "a.py": '@click.option("--ttl", envvar="LOGIN_TTL")\ndef f(ttl): ...\n'},
    "process.env": {"a.ts": "const a = Number(process.env.LOGIN_TTL ?? 1);\n"},
    "import.meta.env": {"a.vue": "<script>let a = import.meta.env['LOGIN_TTL']</script>\n"},
    "taken apart": {"a.js": "const { A, LOGIN_TTL = 1 } = process.env\n"},
    "svelte": {"a.ts": "import { LOGIN_TTL } from '$env/static/private'\n"},
    "go": {"main.go": 'var ttl = os.Getenv("LOGIN_TTL")\n'},
    "rust": {"main.rs": 'let ttl = env::var("LOGIN_TTL");\n'},
    "ruby": {"a.rb": 'ttl = ENV.fetch("LOGIN_TTL", 1)\n'},
    "a script": {"run.sh": 'exec serve --ttl "${LOGIN_TTL:-1}"\n'},
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_setting_that_is_read_passes(name: str, tmp_path: Path) -> None:
    setting = "LOGIN__TTL" if "inside of one" in name else "LOGIN_TTL"
    found = verdict(tmp_path, RIGHT[name], "setting", setting)
    assert found.startswith("pass: "), found


WRONG = {
    "it is only declared": (
        {".env.example": "A=1\nLOGIN_TTL=3600\n", "docs/a.md": "LOGIN_TTL\n", "a.py": "x = 1\n"},
        "named at .env.example:2, read nowhere"),
    "a field that nothing reads": (
        {"conf.py": SETTINGS}, "conf.py:2 has it as login_ttl, which nothing reads"),
    "a field that only a test reads": (
        {"conf.py": SETTINGS, "tests/test_a.py": "x = settings.login_ttl\n"}, "nothing reads"),
    "a name that nothing uses": (
        {"a.py": 'import os\ndef f():\n    ttl = os.getenv("LOGIN_TTL")\n    return 1\n'},
        "a.py:3 reads it into ttl, which nothing uses"),
    "a constant that nothing uses": (
        {"a.py": 'import os\nTTL = os.getenv("LOGIN_TTL")\n'}, "a.py:2 has it as TTL"),
    "it is only set": ({"a.py": 'import os\nos.environ["LOGIN_TTL"] = "1"\n'}, "read nowhere"),
    "it is only set, in a script": ({"a.js": "process.env.LOGIN_TTL = '1'\n"}, "read nowhere"),
    "a comment and a docstring": (
        {"a.py": '"""os.environ["LOGIN_TTL"]"""\n# os.environ["LOGIN_TTL"]\n',
         "b.js": "// process.env.LOGIN_TTL\n"}, "read nowhere"),
    "only a test": (
        {"tests/test_a.py": 'import os\nos.environ["LOGIN_TTL"]\n'}, "a test, names it"),
    "a longer name": ({"a.py": 'import os\nos.getenv("LOGIN_TTL_MAX")\n'}, "nothing names it"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_setting_that_nothing_reads_fails(name: str, tmp_path: Path) -> None:
    files, evidence = WRONG[name]
    found = verdict(tmp_path, files, "setting", "LOGIN_TTL")
    assert found.startswith("fail: ") and evidence in found, found


def test_a_setting_that_a_container_gets_warns(tmp_path: Path) -> None:
    files = {"compose.yml": "LOGIN_TTL: ${LOGIN_TTL}\n"}
    found = verdict(tmp_path, files, "setting", "LOGIN_TTL")
    assert found == "warn: compose.yml:1 hands it to a container; no code of ours reads it"
    files[".env.example"] = "LOGIN_TTL=1\n"
    assert verdict(tmp_path, files, "setting", "LOGIN_TTL").startswith("fail: ")


def test_a_key_of_a_file_is_read_by_its_last_part(tmp_path: Path) -> None:
    files = {"config.toml": "[auth]\nttl = 1\n", "a.py": 'def f(c):\n    return c["auth"]["ttl"]\n'}
    assert verdict(tmp_path, files, "setting", "auth.ttl").startswith("pass: a.py:2")


def test_another_language_that_names_it_is_unknown(tmp_path: Path) -> None:
    files = {"main.go": 'type C struct {\n\tTTL int `x:"LOGIN_TTL"`\n}\n'}
    assert verdict(tmp_path, files, "setting", "LOGIN_TTL").startswith("unknown: main.go:2")
