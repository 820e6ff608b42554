"""Feature files: one that cannot run is refused as a whole, with the lines that are wrong."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adw_worktree.errors import PlanInvalid
from adw_worktree.orchestration.plan.feature_file import parse_feature
from adw_worktree.orchestration.plan.load import load_document

HEAD = 'slug = "f"\ntitle = "F"\n'


def phase(number: int, depends_on: str = "[]", more: str = "") -> str:
    return (
        f'[[phases]]\nnumber = {number}\ntitle = "P"\nrun = "true"\n'
        f"depends_on = {depends_on}\n{more}"
    )


def refusal(text: str) -> str:
    with pytest.raises(PlanInvalid) as caught:
        parse_feature(text, "plan.toml")
    assert "Traceback" not in caught.value.message
    return caught.value.message


def test_a_sound_one_is_read() -> None:
    feature = parse_feature(HEAD + phase(1) + phase(2, "[1]", "priority = 10\n"), "plan.toml")
    assert [one.number for one in feature.phases] == [1, 2]
    assert feature.phases[0].run == ("true",)
    assert feature.phases[1].priority == 10


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (phase(1, "[2]") + phase(2, "[1]"), "line 3: phases wait for each other"),
        (phase(1, "[1]"), "phases wait for each other: phase 1 on phase 1"),
        (phase(1) + phase(2, "[7]"), "line 8: phase 2 depends on phase 7, which does not exist"),
        (phase(1) + phase(1), "there are 2 phases 1"),
        (phase(2) + phase(1, "[2, 2]"), "line 8: phase 1 names a dependency twice"),
        (phase(0), "line 3: phase at place 1: number"),
        (phase(1) + phase(2, more='colour = "red"\n'), "line 8: phase at place 2: colour"),
        (phase(1, more="priority = 101\n"), "priority"),
        (phase(1, more='changes = "some"\n'), "changes"),
        ('[[phases]]\nnumber = 1\ntitle = "P"\n', "run"),
        ('[[phases]]\nnumber = 1\ntitle = "P"\nrun = []\n', "run"),
        ('[[phases]]\nnumber = 1\ntitle = "a\\u0007b"\nrun = "true"\n', "title"),
        ('[[phases]]\nnumber = 1\ntitle = "P"\nrun = "a\\u0000b"\n', "run"),
        ("phases = []\n", "phases"),
    ],
)
def test_what_cannot_run_is_named_by_its_line(text: str, told: str) -> None:
    assert told in refusal(HEAD + text)


@pytest.mark.parametrize("slug", ["", "F", "../f", "f g", "-f", "f" * 60, "f/g", "f\n"])
def test_a_slug_is_held_to_what_git_and_paths_take(slug: str) -> None:
    text = f"slug = {slug!r}\ntitle = 'F'\n".replace("'", '"') + phase(1)
    assert "slug" in refusal(text)


@pytest.mark.parametrize("base", ["-f", "a b", "", "a\\nb"])
def test_a_base_cannot_be_an_option_of_gits(base: str) -> None:
    assert "base" in refusal(HEAD + f'base = "{base}"\n' + phase(1))


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[[", b"a = " + b"[" * 100_000, b"#" * 2_000_000])
def test_what_is_no_document_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "plan.toml").write_bytes(data)
    with pytest.raises(PlanInvalid):
        load_document(tmp_path / "plan.toml")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(PlanInvalid, match="cannot be read"):
            load_document(place)


@given(st.text(max_size=200), st.booleans())
def test_any_text_is_a_feature_or_refused(text: str, after_a_head: bool) -> None:
    with suppress(PlanInvalid):
        parse_feature(HEAD + phase(1) + text if after_a_head else text, "plan.toml")


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.lists(st.integers(1, 6), max_size=3)),
        min_size=1,
        max_size=6,
    )
)
def test_a_graph_is_taken_if_it_has_an_order(graph: list[tuple[int, list[int]]]) -> None:
    text = HEAD + "".join(phase(number, str(needs)) for number, needs in graph)
    assert tomllib.loads(text)
    done: set[int] = set()
    for _ in graph:
        done |= {number for number, needs in graph if set(needs) <= done}
    numbers = [number for number, _ in graph]
    sound = (
        len(set(numbers)) == len(numbers)
        and done == set(numbers)
        and all(len(set(needs)) == len(needs) for _, needs in graph)
    )
    if sound:
        parse_feature(text, "plan.toml")
    else:
        refusal(text)
