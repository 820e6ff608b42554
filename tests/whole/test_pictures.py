"""The recorder: what a terminal shows is what is drawn, and the same each time."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from scripts.docs.svg import DARK, LIGHT
from scripts.docs.terminal import drawn, record, screen


def words(svg: str) -> list[str]:
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [str(one.text).replace("\N{NO-BREAK SPACE}", " ") for one in found]


def picture(data: bytes, columns: int = 40) -> str:
    return drawn(screen(data, columns), columns, "a title", LIGHT)


def test_columns_stay_where_they_are() -> None:
    svg = picture(b"ADW   SLOT\r\na     0\r\n")
    assert words(svg) == ["ADW", "SLOT", "a", "0"]
    assert re.findall(r'<text x="([0-9.]+)"', svg) == ["16", "66.4", "16", "66.4"]


def test_what_was_written_over_is_not_shown() -> None:
    assert words(picture(b"50 %\r100 %\x1b[K\r\n\x1b[1A\x1b[2Kdone\r\n")) == ["done"]


@pytest.mark.parametrize(
    ("code", "look"),
    [
        ("1", 'font-weight="700"'),
        ("2", 'fill-opacity="0.7"'),
        ("4", 'text-decoration="underline"'),
        ("31", 'fill="#cf222e"'),
        ("38;2;1;2;3", 'fill="#010203"'),
        ("2;38;5;196", 'fill-opacity="0.7"'),
    ],
)
def test_looks_are_kept(code: str, look: str) -> None:
    assert look in picture(f"\x1b[{code}mword\x1b[0m plain".encode())
    assert look not in picture(b"word plain")


def test_a_background_is_drawn_behind_its_words() -> None:
    svg = picture(b"\x1b[41m  \x1b[0m\r\n\x1b[7mword\x1b[0m")
    assert svg.count("<rect") == 3
    assert f'fill="{LIGHT.panel}" textLength' in svg or f'fill="{LIGHT.panel}"' in svg


def test_the_same_bytes_give_the_same_picture_and_each_theme_its_own() -> None:
    lines = screen(b"\x1b[32mword\x1b[0m", 40)
    assert drawn(lines, 40, "t", DARK) == drawn(screen(b"\x1b[32mword\x1b[0m", 40), 40, "t", DARK)
    assert drawn(lines, 40, "t", DARK) != drawn(lines, 40, "t", LIGHT)


def test_no_markup_of_a_name_gets_through() -> None:
    assert words(picture(b"<script> & ]]>")) == ["<script> & ]]>"]


def test_a_command_sees_a_terminal_of_the_size_that_is_drawn(tmp_path: Path) -> None:
    size = "python3 -c 'import os; print(os.isatty(1), os.get_terminal_size().columns)'"
    assert record(size, tmp_path, dict(os.environ), 77) == b"True 77\r\n"
