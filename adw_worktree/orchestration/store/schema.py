"""The store's tables, and the migrations that make them.

What holds here: a migration that was released is never changed; each runs in one transaction with
the note that it ran. Times are ISO 8601 in UTC, with microseconds, as text: they sort as they are.
"""

from __future__ import annotations

from adw_worktree.errors import StoreTooNew
from adw_worktree.orchestration.store.database import Database

_FIRST = """
CREATE TABLE meta (version INTEGER NOT NULL);
CREATE TABLE gate (id INTEGER PRIMARY KEY, max_running INTEGER NOT NULL);
CREATE TABLE features (
    id {serial_key},
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    repository TEXT NOT NULL,
    place TEXT NOT NULL,
    plan_path TEXT,
    plan_text TEXT NOT NULL,
    branch TEXT NOT NULL,
    base TEXT,
    priority INTEGER NOT NULL,
    status TEXT NOT NULL,
    land TEXT NOT NULL,
    budget_usd DOUBLE PRECISION,
    owner TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT
);
CREATE INDEX features_by_slug ON features (slug);
CREATE TABLE phases (
    id {serial_key},
    feature_id BIGINT NOT NULL REFERENCES features (id),
    phase_number INTEGER NOT NULL,
    title TEXT NOT NULL,
    workflow TEXT,
    commands TEXT NOT NULL,
    changes TEXT NOT NULL,
    timeout_seconds DOUBLE PRECISION,
    attempts_allowed INTEGER NOT NULL,
    losses INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL,
    queue_position INTEGER NOT NULL,
    status TEXT NOT NULL,
    blocked_by TEXT,
    awaits_slot INTEGER NOT NULL DEFAULT 0,
    not_before TEXT,
    adw_id TEXT NOT NULL,
    issue_number INTEGER,
    pr_number INTEGER,
    estimated_hours DOUBLE PRECISION,
    error_message TEXT,
    created_at TEXT NOT NULL,
    ready_at TEXT,
    started_at TEXT,
    ended_at TEXT,
    UNIQUE (feature_id, phase_number)
);
CREATE INDEX phases_ready ON phases (priority, ready_at, id) WHERE status = 'ready';
CREATE TABLE dependencies (
    phase_id BIGINT NOT NULL REFERENCES phases (id),
    needs_id BIGINT NOT NULL REFERENCES phases (id),
    PRIMARY KEY (phase_id, needs_id)
);
CREATE INDEX dependencies_by_need ON dependencies (needs_id);
CREATE TABLE attempts (
    token TEXT PRIMARY KEY,
    phase_id BIGINT NOT NULL REFERENCES phases (id),
    number INTEGER NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER,
    worktree TEXT,
    base_commit TEXT,
    head_commit TEXT,
    stage TEXT,
    stop TEXT,
    report TEXT,
    report_message TEXT,
    end_reason TEXT,
    exit_code INTEGER,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    UNIQUE (phase_id, number)
);
CREATE INDEX attempts_running ON attempts (host) WHERE ended_at IS NULL;
CREATE TABLE stages (
    attempt TEXT NOT NULL REFERENCES attempts (token),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    round INTEGER NOT NULL,
    status TEXT NOT NULL,
    exit_code INTEGER,
    log TEXT,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    PRIMARY KEY (attempt, position)
);
CREATE TABLE events (
    id {serial_key},
    at TEXT NOT NULL,
    feature_id BIGINT,
    phase_id BIGINT,
    attempt TEXT,
    stage TEXT,
    kind TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX events_of_phase ON events (phase_id, id);
INSERT INTO gate (id, max_running) VALUES (1, 3);
INSERT INTO meta (version) VALUES (0);
"""

_DELIVERIES = """
CREATE TABLE deliveries (
    feature_id BIGINT NOT NULL REFERENCES features (id),
    way TEXT NOT NULL,
    event_id BIGINT NOT NULL,
    pending INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    next_at TEXT,
    PRIMARY KEY (feature_id, way)
);
CREATE INDEX deliveries_pending ON deliveries (feature_id) WHERE pending = 1;
CREATE INDEX events_of_feature ON events (feature_id, id);
"""

_AGENTS = """
CREATE TABLE workflows (
    feature_id BIGINT NOT NULL REFERENCES features (id),
    digest TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (feature_id, digest)
);
ALTER TABLE phases ADD COLUMN prompt TEXT;
ALTER TABLE phases ADD COLUMN workflow_digest TEXT;
ALTER TABLE phases ADD COLUMN agents TEXT;
ALTER TABLE phases ADD COLUMN budget_usd DOUBLE PRECISION;
ALTER TABLE phases ADD COLUMN resume_at TEXT;
CREATE INDEX phases_resuming ON phases (resume_at) WHERE resume_at IS NOT NULL;
ALTER TABLE stages ADD COLUMN tested_commit TEXT;
ALTER TABLE attempts ADD COLUMN allowance_usd DOUBLE PRECISION;
ALTER TABLE attempts ADD COLUMN verdict TEXT;
ALTER TABLE attempts ADD COLUMN verdict_message TEXT;
ALTER TABLE features ADD COLUMN landing TEXT;
CREATE INDEX features_to_land ON features (id)
    WHERE status = 'completed' AND land <> 'leave' AND landing IS NULL;
CREATE TABLE calls (
    attempt TEXT NOT NULL REFERENCES attempts (token),
    number INTEGER NOT NULL,
    stage TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT,
    session_id TEXT,
    turns BIGINT,
    prompt_length INTEGER NOT NULL,
    input_tokens BIGINT,
    cached_tokens BIGINT,
    cache_write_tokens BIGINT,
    output_tokens BIGINT,
    reasoning_tokens BIGINT,
    cost_usd DOUBLE PRECISION,
    cost_source TEXT NOT NULL,
    status TEXT NOT NULL,
    error TEXT,
    denied TEXT NOT NULL,
    retry_count INTEGER NOT NULL,
    latency_ms BIGINT,
    answer TEXT,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    PRIMARY KEY (attempt, number)
);
CREATE TABLE limits (agent TEXT PRIMARY KEY, resume_at TEXT NOT NULL);
"""

_PLANS = """
ALTER TABLE features ADD COLUMN issues TEXT NOT NULL DEFAULT 'file';
ALTER TABLE features ADD COLUMN verification TEXT;
ALTER TABLE features ADD COLUMN verify_at TEXT;
ALTER TABLE features ADD COLUMN verified TEXT;
CREATE INDEX features_to_verify ON features (verify_at) WHERE verify_at IS NOT NULL;
CREATE TABLE checklist (
    phase_id BIGINT NOT NULL REFERENCES phases (id),
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    checker TEXT,
    verdict TEXT NOT NULL,
    evidence TEXT,
    commit_id TEXT,
    PRIMARY KEY (phase_id, position)
);
"""

_DRAFTS = """
ALTER TABLE features ADD COLUMN drafting TEXT;
"""

_USERS = """
CREATE TABLE users (
    id {serial_key},
    address TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE invitations (
    digest TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    user_id BIGINT REFERENCES users (id),
    inviter_id BIGINT REFERENCES users (id),
    expires_at TEXT NOT NULL
);
ALTER TABLE features ADD COLUMN user_id BIGINT REFERENCES users (id);
CREATE INDEX features_drafting ON features (id) WHERE drafting = 'running';
CREATE INDEX features_of_user ON features (user_id) WHERE user_id IS NOT NULL;
CREATE TABLE shares (
    feature_id BIGINT NOT NULL REFERENCES features (id),
    user_id BIGINT NOT NULL REFERENCES users (id),
    may TEXT NOT NULL,
    PRIMARY KEY (feature_id, user_id)
);
CREATE INDEX shares_of_user ON shares (user_id);
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    expires DOUBLE PRECISION NOT NULL,
    count BIGINT NOT NULL
);
CREATE TABLE generations (
    user_id BIGINT PRIMARY KEY REFERENCES users (id),
    feature_id BIGINT NOT NULL REFERENCES features (id)
);
"""

_HOSTS = """
CREATE TABLE hosts (
    name TEXT PRIMARY KEY,
    machine TEXT NOT NULL,
    serving INTEGER NOT NULL,
    drained INTEGER NOT NULL DEFAULT 0,
    most_here INTEGER,
    lease_seconds DOUBLE PRECISION NOT NULL,
    lease_until TEXT,
    heard_at TEXT NOT NULL,
    version TEXT NOT NULL,
    slots INTEGER,
    slots_leased INTEGER
);
CREATE TABLE host_labels (
    host TEXT NOT NULL REFERENCES hosts (name),
    label TEXT NOT NULL,
    PRIMARY KEY (host, label)
);
CREATE TABLE host_repositories (
    host TEXT NOT NULL REFERENCES hosts (name),
    repository TEXT NOT NULL,
    place TEXT NOT NULL,
    PRIMARY KEY (host, repository)
);
CREATE TABLE phase_needs (
    phase_id BIGINT NOT NULL REFERENCES phases (id),
    label TEXT NOT NULL,
    PRIMARY KEY (phase_id, label)
);
CREATE TABLE slotless (
    phase_id BIGINT NOT NULL REFERENCES phases (id),
    host TEXT NOT NULL,
    PRIMARY KEY (phase_id, host)
);
CREATE TABLE logs (
    attempt TEXT NOT NULL REFERENCES attempts (token),
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (attempt, name, position)
);
CREATE TABLE wanted_logs (attempt TEXT PRIMARY KEY REFERENCES attempts (token));
ALTER TABLE phases ADD COLUMN host TEXT;
ALTER TABLE features ADD COLUMN host TEXT;
ALTER TABLE features ADD COLUMN added_on TEXT;
ALTER TABLE features ADD COLUMN tip TEXT;
"""

MIGRATIONS = (_FIRST, _DELIVERIES, _AGENTS, _PLANS, _DRAFTS, _USERS, _HOSTS)
"""The statements that lead from each version to the next."""


def migrate(database: Database) -> None:
    """Bring the tables to this version. Raises StoreTooNew, StoreError."""
    if version_of(database) == len(MIGRATIONS):
        return
    with database.transaction():
        for version in range(version_of(database), len(MIGRATIONS)):
            for statement in _statements(MIGRATIONS[version], database.serial_key):
                database.execute(statement)
            database.execute("UPDATE meta SET version = ?", [version + 1])


def is_up_to_date(database: Database) -> bool:
    """Return whether the tables are those of this version. Raises StoreTooNew."""
    return version_of(database) == len(MIGRATIONS)


def version_of(database: Database) -> int:
    """Return how many migrations the tables have had. Raises StoreTooNew."""
    if not _has_tables(database):
        return 0
    version = int(str(database.execute("SELECT version FROM meta")[0][0]))
    if version > len(MIGRATIONS):
        raise StoreTooNew(
            f"the store {database.place} was made by a later adw-worktree (version {version} of "
            f"its tables; this one knows {len(MIGRATIONS)})",
            hint="upgrade adw-worktree",
        )
    return version


def _has_tables(database: Database) -> bool:
    if database.is_shared:
        return bool(database.execute("SELECT to_regclass('meta')")[0][0])
    return bool(database.execute("SELECT name FROM sqlite_master WHERE name = 'meta'"))


def _statements(script: str, serial_key: str) -> list[str]:
    parts = script.replace("{serial_key}", serial_key).split(";")
    return [part.strip() for part in parts if part.strip()]
