"""What an agent reads: its own part, far less than the whole plan would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from adw_worktree.orchestration.issues.document import Place, Subject, how_to_work, issue_text
from adw_worktree.orchestration.issues.size import Sizes, sizes, tokens
from adw_worktree.orchestration.plan.load import load_document
from adw_worktree.orchestration.plan.phases import PlannedFeature
from adw_worktree.orchestration.store.handovers import MOST_CHARACTERS, Handover

PLANS = Path(__file__).parents[1] / "plan" / "plans"
SOUND = sorted(path for path in PLANS.glob("*.md") if not path.with_suffix(".bad.json").exists())
PLACE = Place("feature-p1", {"backend": 9100, "frontend": 9200}, ".env.ports")
SUMMARY = "The table and its migration are there, with tests; see the module's docstring. " * 4


def of_all_phases(path: Path) -> list[Sizes]:
    """Return the sizes for each phase of a plan, every phase before it having handed over."""
    loaded = load_document(path)
    planned, text = loaded.planned, loaded.text
    return [size_of(planned, text, number) for number in range(len(planned.feature.phases))]


def size_of(planned: PlannedFeature, text: str, place: int) -> Sizes:
    feature = planned.feature
    phase = feature.phases[place]
    by_number = {one.number: one for one in feature.phases}
    before, waiting = {}, [*phase.depends_on]
    while waiting:
        number = waiting.pop()
        if number not in before:
            before[number] = Handover(number, by_number[number].title, SUMMARY)
            waiting += by_number[number].depends_on
    subject = Subject(
        feature.title, feature.slug, phase.title, phase.number, len(by_number), str(phase.prompt),
        [*before.values()],
    )  # fmt: skip
    parts = [str(one.prompt) for one in feature.phases]
    return sizes(issue_text(subject, PLACE), text, parts, how_to_work(PLACE))


def test_there_are_a_dozen_plans() -> None:
    assert len(SOUND) == 12


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_an_issue_is_smaller_than_the_plan(path: Path) -> None:
    for one in of_all_phases(path):
        assert one.issue < one.whole_plan < one.parent_and_children


def test_issues_take_60_to_80_percent_fewer_tokens_than_whole_plans() -> None:
    every = [one for path in SOUND for one in of_all_phases(path)]
    ours, plans = sum(one.issue for one in every), sum(one.whole_plan for one in every)
    children = sum(one.parent_and_children for one in every)
    assert 1 - ours / plans >= 0.6, f"{1 - ours / plans:.0%}"
    assert 1 - ours / children >= 0.7, f"{1 - ours / children:.0%}"


def test_tokens_are_about_four_bytes() -> None:
    assert [tokens(text) for text in ("", "a", "abcd", "abcde", "äöüß")] == [0, 1, 1, 2, 2]


def test_handovers_are_capped_and_what_was_dropped_is_named() -> None:
    long = Handover(2, "Near", "x" * MOST_CHARACTERS)
    far = Handover(1, "Far", "")
    text = issue_text(Subject("F", "f", "Third", 3, 3, "Do it.", [long, far]), PLACE)
    assert "Left out, to keep this short: Far (f.1)." in text
    assert "### Near (f.2)" in text and "### Far" not in text
