"""Events are brought to a command and to a server, in their order, whatever those do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adw_worktree.orchestration.running.webhook import Message, signed
from adw_worktree.orchestration.store.deliveries import pause_after
from tests.support.command_line import Adw
from tests.support.features import (
    kill,
    kill_all,
    nothing_is_left,
    ours,
    phase,
    start,
    state_dir,
    statuses,
    store,
    work,
    write_feature,
)
from tests.support.machine import settle
from tests.support.receiver import Receiver, receiving
from tests.support.repositories import git

SECRET = "a secret of the tests"
OF_ONE_PHASE = [
    "feature.started",
    "phase.ready",
    "phase.running",
    "attempt.started",
    "stage.started",
    "stage.ended",
    "stage.started",
    "stage.ended",
    "attempt.ended",
    "phase.completed",
    "feature.completed",
]


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End what a test leaves running."""
    yield
    kill_all()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a server that takes all, and is in the user's settings."""
    receiver = Receiver()
    with receiving(receiver):
        settings(f'notify_url = "{receiver.address}"\nnotify_secret = "{SECRET}"\n')
        yield receiver


def settings(text: str) -> None:
    """Write the user's settings."""
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "adw-worktree" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)


def log() -> str:
    return (state_dir() / "phases" / "deliveries.log").read_text()


def one_phase() -> dict[str, object]:
    return phase(1, "true", changes="none")


def assert_signed(headers: dict[str, str], body: bytes) -> None:
    """Hold that a request is what https://www.standardwebhooks.com says it is."""
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = hmac.new(SECRET.encode(), content, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(right).decode()}"


def test_every_event_is_posted_in_its_order_and_signed(adw: Adw, receiver: Receiver) -> None:
    start(adw, "f", one_phase())
    work(adw)
    assert receiver.kinds == OF_ONE_PHASE
    for one in receiver.posted:
        assert_signed(one.headers, one.body)
    last = receiver.posted[-2].document
    assert (last["schema_version"], last["feature"], last["phase"]) == (1, "f", "f.1")
    assert last["data"] == {"before": "running", "why": None}
    assert len({one.headers["webhook-id"] for one in receiver.posted}) == len(OF_ONE_PHASE)


@pytest.mark.thorough
def test_a_server_that_says_500_gets_the_event_again(adw: Adw, receiver: Receiver) -> None:
    receiver.refusals = [500, 503]
    start(adw, "f", one_phase())
    settle(lambda: receiver.kinds == OF_ONE_PHASE, "the events never come")
    assert "answered 500; it is tried again" in log()
    settle(nothing_is_left, "the coordinator stays")


def test_a_server_that_is_down_holds_up_nothing_and_gets_all_later(
    adw: Adw, receiver: Receiver
) -> None:
    gone = Receiver()
    with receiving(gone):
        pass
    settings(f'notify_url = "{gone.address}"\n')
    ran = adw("feature", "start", str(write_feature(adw, "f", one_phase())), "--yes", "--wait")
    assert "f.1 completed" in ran.stdout
    with receiving(gone):
        settle(lambda: gone.kinds == OF_ONE_PHASE, "the events never come")
        assert "webhook-signature" not in gone.posted[0].headers
        settle(nothing_is_left, "the coordinator stays")


def test_a_slow_server_holds_up_no_phase(adw: Adw, receiver: Receiver) -> None:
    receiver.delay = 1.0
    start(adw, "f", one_phase(), phase(2, "true", needs=[1], changes="none"))
    settle(lambda: set(statuses(adw, "f").values()) == {"completed"}, "it is never done")
    assert len(receiver.posted) < 8


def test_one_who_waits_does_not_wait_for_a_server_that_is_down(adw: Adw) -> None:
    gone = Receiver()
    with receiving(gone):
        pass
    settings(f'notify_url = "{gone.address}"\n')
    start(adw, "f", one_phase())
    work(adw)
    assert statuses(adw, "f") == {1: "completed"}
    with receiving(gone):  # a coordinator in the background goes on with it
        settle(lambda: gone.kinds == OF_ONE_PHASE, "the events never come")


def test_no_redirection_is_followed(adw: Adw, receiver: Receiver) -> None:
    receiver.refusals = [302]
    start(adw, "f", one_phase())
    settle(lambda: receiver.kinds == OF_ONE_PHASE, "the events never come")
    assert "answered 302" in log()


def test_a_killed_coordinator_loses_no_event(adw: Adw, receiver: Receiver) -> None:
    receiver.delay = 0.2
    start(adw, "f", one_phase())
    settle(lambda: len(receiver.posted) >= 2, "no event comes")
    kill(ours())
    adw("list")
    settle(lambda: receiver.kinds[-1:] == ["feature.completed"], "the last event never comes")
    ids = [one.document["id"] for one in receiver.posted]
    assert ids == sorted(ids)  # one may have come twice, under the same id
    kinds = list(dict.fromkeys((one.document["id"], one.document["kind"])
                               for one in receiver.posted))  # fmt: skip
    assert [kind for _, kind in kinds if not kind.startswith(("attempt", "stage"))] == [
        kind for kind in OF_ONE_PHASE if not kind.startswith(("attempt", "stage"))
    ]


@pytest.mark.thorough
def test_an_event_is_given_up_after_a_day(adw: Adw, receiver: Receiver) -> None:
    receiver.refusals = [500]
    start(adw, "f", one_phase())
    settle(lambda: "answered 500" in _log_if_any(), "it never fails")
    kill_all()
    database = store()
    database.execute("UPDATE events SET at = '2020-01-01T00:00:00.000000+00:00' WHERE id = 1")
    database.execute("UPDATE deliveries SET next_at = NULL")
    database.close()
    receiver.refusals = [500]
    adw("list")
    settle(lambda: receiver.kinds[-1:] == ["feature.completed"], "the others never come")
    assert "feature.started" not in receiver.kinds
    assert "it is given up" in log()


def _log_if_any() -> str:
    try:
        return log()
    except FileNotFoundError:
        return ""


def test_a_command_gets_every_event_on_its_input(adw: Adw, tmp_path: Path) -> None:
    settings(f'[hooks]\non-event = ["cat >>{tmp_path}/events; echo >>{tmp_path}/events"]\n')
    start(adw, "f", one_phase())
    work(adw)
    lines = (tmp_path / "events").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == OF_ONE_PHASE


def test_a_command_that_fails_is_in_the_log_and_holds_up_nothing(adw: Adw) -> None:
    settings('[hooks]\non-event = ["echo what it says; exit 3"]\n')
    start(adw, "f", one_phase())
    work(adw)
    assert statuses(adw, "f") == {1: "completed"}
    assert log().count("what it says") == len(OF_ONE_PHASE) + log().count("`echo what it says")
    assert "failed with exit status 3" in log()


def test_a_command_of_an_event_is_of_no_attempt(adw: Adw, tmp_path: Path) -> None:
    settings(f'[hooks]\non-event = ["env >{tmp_path}/env"]\n')
    start(adw, "f", one_phase())
    work(adw)
    names = [line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()]
    assert "ADW_EVENT" in names
    assert not {"ADW_ATTEMPT", "ADW_PHASE", "ADW_FEATURE", "GIT_DIR"} & set(names)


def test_a_command_of_the_repository_needs_approval(adw: Adw, repo: Path, tmp_path: Path) -> None:
    (repo / "adw-worktree.toml").write_text(f'[hooks]\non-event = "touch {tmp_path}/ran"\n')
    git("add", "-A", cwd=repo)
    git("commit", "-qm", "settings", cwd=repo)
    file = str(write_feature(adw, "f", one_phase()))
    assert "nobody has approved" in adw("feature", "start", file, "--yes", code=9).stderr
    adw("trust", "--yes")
    adw("feature", "start", file, "--yes")
    work(adw)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["notify_url", "notify_secret", "max_running_here"])
def test_a_repository_says_nothing_of_who_is_told(adw: Adw, repo: Path, key: str) -> None:
    values = {"notify_url": '"https://evil.example/"', "notify_secret": f'"{SECRET}"'}
    (repo / "adw-worktree.toml").write_text(f"{key} = {values.get(key, '3')}\n")
    assert f"{key} is not for a repository to set" in adw("list", code=3).stderr


@pytest.mark.parametrize(
    "address",
    [
        "ftp://host/",
        "https://",
        "https://user:word@host/",
        "host/path",
        "http://h:x/",
        "http://a b",
    ],
)
def test_an_address_that_is_none_is_refused(adw: Adw, address: str) -> None:
    settings(f'notify_url = "{address}"\n')
    assert "notify_url must" in adw("list", code=3).stderr


def test_what_is_signed_is_as_the_standard_has_it() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks, its libraries'."""
    message = Message("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    headers = signed(message, 1614265330, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_pauses_grow_to_five_minutes() -> None:
    for failures, longest in ((1, 1.0), (2, 2.0), (4, 8.0), (9, 256.0), (10, 300.0), (99, 300.0)):
        assert longest / 2 <= pause_after(failures) <= longest
