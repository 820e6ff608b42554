"""A migration passes where something runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestration.gates.projects import verdict


def revision(own: str, after: str) -> str:
    return f'revision: str = "{own}"\ndown_revision = {after}\ndef upgrade():\n    op.x()\n'


ALEMBIC = {
    "alembic/env.py": "run()\n",
    "alembic/versions/a_first.py": revision("a", "None"),
    "alembic/versions/b_users.py": revision("b", '"a"'),
}
DJANGO = {
    "site/settings.py": 'INSTALLED_APPS = ["django.contrib.auth", "backend.accounts"]\n',
    "backend/accounts/migrations/__init__.py": "",
    "backend/accounts/migrations/0001_initial.py":
        "class Migration(m.Migration):\n    dependencies = []\n",
    "backend/accounts/migrations/0002_users.py":
        'class Migration(m.Migration):\n    dependencies = [("accounts", "0001_initial")]\n',
}  # fmt: skip
SQL = {"db/migrations/0001_a.sql": "create", "db/migrations/0002_users.sql": "create"}
SECOND = "db/migrations/0002_users.sql"
USERS = "backend/accounts/migrations/0002_users.py"


def without(files: dict[str, str], path: str) -> dict[str, str]:
    return {name: text for name, text in files.items() if name != path}


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        (ALEMBIC, "alembic/versions/b_users.py",
         "pass: alembic/versions/b_users.py is in the chain of 2, after a; one head, b"),
        ({**ALEMBIC, "alembic/versions/c.py": revision("c", '"a"')},
         "alembic/versions/b_users.py", "fail: alembic/versions has 2 heads, b, c"),
        (without(ALEMBIC, "alembic/versions/a_first.py"), "alembic/versions/b_users.py",
         "fail: alembic/versions/b_users.py follows a, which is in no migration"),
        ({**ALEMBIC, "alembic/versions/c.py": revision("b", '"a"')},
         "alembic/versions/b_users.py", "have the same revision b"),
        ({**ALEMBIC, "alembic/versions/a_first.py": revision("a", '"b"')},
         "alembic/versions/b_users.py", "which follows it"),
        (without(ALEMBIC, "alembic/env.py"), "alembic/versions/b_users.py", "warn: "),
        ({**ALEMBIC, "alembic/versions/b_users.py":
          revision("b", '"a"').replace("op.x()", '"""Users."""\n    pass')},
         "alembic/versions/b_users.py",
         "upgrade() does nothing"),
        ({**SQL, "src/main.rs": "sqlx::migrate!().run(&pool).await?;\n"}, SECOND,
         "pass: src/main.rs:1 runs all of db/migrations"),
        (DJANGO, USERS, "pass: "),
        (without(DJANGO, "backend/accounts/migrations/__init__.py"), USERS, "has no __init__.py"),
        (without(DJANGO, "backend/accounts/migrations/0001_initial.py"), USERS,
         "depends on accounts.0001_initial, which does not exist"),
        ({**DJANGO, "site/settings.py": "INSTALLED_APPS = []\n"}, USERS,
         "INSTALLED_APPS at site/settings.py:1 does not have accounts"),
        ({**SQL, "app.py": 'run(Path(__file__).parent / "db" / "migrations")\n'}, SECOND,
         "pass: app.py:1 names db/migrations, where it is"),
        ({**SQL, "Makefile": "up:\n\tdbmate -d db/migrations up\n"}, SECOND, "pass: Makefile:2"),
        ({**SQL, "main.go": "//go:embed migrations/*.sql\nvar files embed.FS\n"}, SECOND, "pass: "),
        ({**SQL, "a.ts": "const all = ['0001_a.sql', '0002_users.sql']\n"}, SECOND, "pass: a.ts:1"),
        ({**SQL, "a.py": 'FILES = ["0001_a.sql"]\n'}, SECOND,
         "warn: a.py:1 names others of db/migrations and not 0002_users.sql"),
        (SQL, SECOND, "fail: nothing runs db/migrations/0002_users.sql"),
        ({**SQL, "README.md": "db/migrations\n", "tests/test_a.py": 'run("db/migrations")\n',
          "app.py": '"""db/migrations"""\n# db/migrations\n', ".gitignore": "migrations\n",
          "pyproject.toml": '[tool.ruff]\nexclude = ["migrations"]\n'}, SECOND, "fail: "),
        ({"prisma/schema.prisma": "", "prisma/migrations/1_a/migration.sql": "create"},
         "prisma/migrations/1_a/migration.sql", "pass: "),
        ({**SQL, SECOND: " \n"}, SECOND, "is empty"),
        ({"a.sql": ""}, SECOND, "fail: there is no"),
    ],
)  # fmt: skip
def test_migration(files: dict[str, str], path: str, expected: str, tmp_path: Path) -> None:
    found = verdict(tmp_path, files, "migration", path)
    assert found.startswith(expected) or (found.startswith("fail: ") and expected in found), found
