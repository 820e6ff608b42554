"""The charts: one SVG for each row and background, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .measure import Scene, Timing, baseline_of, ratio, spread
from .report import TITLES, factor_of, milliseconds


@dataclass(frozen=True)
class Theme:
    """Colours for one background, which itself stays transparent."""

    suffix: str
    ink: str
    faint: str
    ours: str
    baseline: str
    peer: str


THEMES = (
    Theme("", "#1f2328", "#d0d7de", "#0969da", "#57606a", "#b6bec7"),
    Theme("-dark", "#e6edf3", "#3d444d", "#4493f8", "#9198a1", "#59626d"),
)

LINES = ("many",)
"""Rows whose scenes are points of a curve."""


def is_available() -> bool:
    """Whether the library that draws is there."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def draw(scenes: Sequence[Scene], directory: Path, rows: Iterable[str] = TITLES) -> list[str]:
    """Write the charts of the rows that were measured, and return which there are."""
    import matplotlib as mpl

    mpl.use("svg")
    directory.mkdir(parents=True, exist_ok=True)
    drawn = [row for row in rows if any(scene.row == row for scene in scenes)]
    for row in drawn:
        mine = [scene for scene in scenes if scene.row == row]
        for theme in THEMES:
            with mpl.rc_context(_style(theme)):
                figure = _curves(mine, theme) if row in LINES else _bars(mine, theme)
                # No date and no version: a redrawn chart differs only where figures do.
                figure.savefig(
                    directory / f"{row}{theme.suffix}.svg",
                    transparent=True,
                    bbox_inches="tight",
                    metadata={"Date": None, "Creator": None},
                )
    return drawn


def _style(theme: Theme) -> Any:
    return {
        "svg.hashsalt": "adw-worktree",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.faint,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "grid.color": theme.faint,
    }


# ---- bars ----------------------------------------------------------------------------------------


def _bars(scenes: Sequence[Scene], theme: Theme) -> Any:
    """Return one panel of bars below another, each with an axis of its own."""
    from matplotlib.figure import Figure

    shown = [[one for one in scene.timings if one.seconds] for scene in scenes]
    rows = [max(1, len(timings)) for timings in shown]
    figure = Figure(figsize=(8.5, 0.34 * sum(rows) + 0.62 * len(rows)), layout="constrained")
    panels = figure.subplots(len(scenes), 1, squeeze=False, height_ratios=[n + 0.4 for n in rows])
    for scene, timings, panel in zip(scenes, shown, panels[:, 0], strict=True):
        _panel(panel, scene, timings, theme)
    return figure


def _panel(panel: Any, scene: Scene, timings: Sequence[Timing], theme: Theme) -> None:
    found = [spread(one.seconds) for one in timings]
    values = [one.median * 1000 for one in found]
    errors = [
        [(one.median - one.low) * 1000 for one in found],
        [(one.high - one.median) * 1000 for one in found],
    ]
    places = range(len(timings))
    panel.barh(
        places,
        values,
        height=0.68,
        color=[_colour(scene, one, theme) for one in timings],
        xerr=errors,
        error_kw={"ecolor": theme.ink, "elinewidth": 0.8, "capsize": 2},
    )
    widest = max((one.high * 1000 for one in found), default=1.0)
    for place, timing, one in zip(places, timings, found, strict=True):
        factor = ratio(timing, baseline_of(scene))
        told = f"{milliseconds(one.median)} ms"
        if factor is not None and timing.label != scene.baseline:
            told = f"{factor_of(factor)}   {told}"
        panel.text(one.high * 1000 + widest * 0.015, place, told, va="center", fontsize=9)
    panel.set_title(scene.name, loc="left", fontsize=10, fontweight="bold")
    panel.set_yticks(list(places), [one.label for one in timings])
    panel.set_xticks([])
    panel.set_xlim(0, widest * 1.28)
    panel.invert_yaxis()
    panel.tick_params(length=0)
    panel.spines[["top", "right", "bottom"]].set_visible(False)


def _colour(scene: Scene, timing: Timing, theme: Theme) -> str:
    if timing.label == scene.baseline:
        return theme.baseline
    return theme.ours if is_ours(scene, timing) else theme.peer


def is_ours(scene: Scene, timing: Timing) -> bool:
    """Whether a bar is this tool's, to be told from git's and its peers'."""
    return scene.row in ("pool", "hooks", "completion") or "adw-worktree" in timing.label


# ---- curves --------------------------------------------------------------------------------------


def _curves(scenes: Sequence[Scene], theme: Theme) -> Any:
    """Return one curve for each way, over the sizes of the scenes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.2), layout="constrained")
    panel = figure.subplots()
    labels = list(dict.fromkeys(one.label for scene in scenes for one in scene.timings))
    markers = "osD^v"
    for number, label in enumerate(labels):
        points = [
            (scene.size or 1, spread(one.seconds))
            for scene in scenes
            for one in scene.timings
            if one.label == label and one.seconds
        ]
        is_baseline = any(scene.baseline == label for scene in scenes)
        colour = theme.baseline if is_baseline else theme.ours
        sizes = [size for size, _ in points]
        panel.plot(
            sizes,
            [one.median * 1000 for _, one in points],
            color=colour,
            marker=markers[number % len(markers)],
            markersize=5,
            linestyle="--" if is_baseline else "-",
            alpha=1.0 if is_baseline else 1.0 - 0.22 * (number - 1),
            label=label,
        )
        panel.fill_between(
            sizes,
            [one.low * 1000 for _, one in points],
            [one.high * 1000 for _, one in points],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    sizes = [scene.size or 1 for scene in scenes]
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
    panel.minorticks_off()
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g} ms")
    panel.set_xlabel("worktrees")
    panel.grid(axis="y", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(length=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="upper left")
    return figure
