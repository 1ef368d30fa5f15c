from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from passerby.errors import OutputError
from passerby.figures.save import save_figure
from passerby.figures.search_result import search_figure
from passerby.figures.style import RIGHT, UNKNOWN, WRONG
from passerby.types import Hit, Role


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def found(n: int, *, pid: int | None = 3, size: tuple[int, int] = (64, 128)) -> list[tuple[Hit, Image.Image]]:
    return [
        (
            Hit(rank=i, path=f"{i}.jpg", distance=0.1 * i, pid=pid, camid=2),
            Image.new("RGB", size, (9 * i % 255, 80, 80)),
        )
        for i in range(1, n + 1)
    ]


def texts(figure: Figure) -> list[str]:
    return [axes.texts[0].get_text() for axes in figure.axes]


def frames(figure: Figure) -> list[str]:
    return [to_hex(axes.spines["left"].get_edgecolor()).upper() for axes in figure.axes]


QUERY = Image.new("RGB", (64, 128), "navy")


def test_captions_hold_what_is_known() -> None:
    hits = [
        (Hit(1, "a", 0.25, pid=7, camid=2), QUERY),
        (Hit(2, "b", 1.0, pid=8, camid=None), QUERY),
        (Hit(3, "c", 1.5), QUERY),
    ]
    figure = search_figure(QUERY, hits, pid=7, camid=1)
    assert texts(figure) == [
        "query\n\nperson 7\ncamera 1",
        "#1 ✓\nd = 0.2500\nperson 7\ncamera 2",
        "#2 ✗\nd = 1.000\nperson 8",
        "#3\nd = 1.500",
    ]
    assert frames(figure)[1:] == [frame.color for frame in (RIGHT, WRONG, UNKNOWN)]


def test_an_image_that_is_gone_has_a_gray_tile() -> None:
    figure = search_figure(QUERY, [(Hit(1, "a", 0.25), None), (Hit(2, "b", 0.5), QUERY)])
    assert texts(figure)[1:] == ["#1\nd = 0.2500\nimage is gone", "#2\nd = 0.5000"]


def test_no_hits_are_said() -> None:
    figure = search_figure(QUERY, [])
    assert "no images\nsatisfy the\nconditions" in [text.get_text() for text in figure.texts]


def test_a_distractor_is_a_false_match_whatever_its_pid() -> None:
    hits = [(Hit(1, "1.jpg", 0.1, pid=0, camid=2, role=Role.DISTRACTOR), QUERY)]
    figure = search_figure(QUERY, hits, pid=0)
    assert texts(figure)[1] == "#1 ✗\nd = 0.1000\ndistractor\ncamera 2"
    assert frames(figure)[1] == WRONG.color


def test_without_the_query_identity_no_hit_is_judged() -> None:
    figure = search_figure(QUERY, found(3))
    assert set(frames(figure)[1:]) == {UNKNOWN.color}
    assert not any("✓" in text or "✗" in text for text in texts(figure))


@pytest.mark.parametrize("size", [(64, 128), (20, 200), (300, 100), (2000, 100)])
@pytest.mark.parametrize("count", [1, 23])
@pytest.mark.parametrize("pid", [3, 123_456_789])
def test_nothing_overlaps_and_nothing_leaves_the_page(size: tuple[int, int], count: int, pid: int) -> None:
    figure = search_figure(QUERY, found(count, pid=pid, size=size), pid=pid, camid=1)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [b for axes in figure.axes for b in (axes.bbox.padded(-2), axes.texts[0].get_window_extent(renderer))]
    assert len(figure.axes) == count + 1
    for a, b in combinations(boxes, 2):
        assert not a.overlaps(b)
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_thumbnails_of_one_shape_are_equally_high_whatever_their_pixels() -> None:
    hits = [(Hit(1, "a", 0.1), Image.new("RGB", (64, 128))), (Hit(2, "b", 0.2), Image.new("RGB", (48, 192)))]
    figure = search_figure(QUERY, hits)
    figure.draw(FigureCanvasAgg(figure).get_renderer())
    assert len({round(axes.get_window_extent().height) for axes in figure.axes}) == 1


def test_no_hits_is_the_query_alone() -> None:
    assert texts(search_figure(QUERY, [])) == ["query\n"]


def test_the_png_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = search_figure(QUERY, found(2), pid=3)
    save_figure(figure, tmp_path / "strip.png", dpi=60)
    with Image.open(tmp_path / "strip.png") as image:
        image.load()
        assert image.format == "PNG"
        assert image.size == tuple(int(60 * inches) for inches in figure.get_size_inches())
    with pytest.raises(OutputError, match="ends in"):
        save_figure(figure, tmp_path / "odd.name", dpi=60)
    with pytest.raises(OutputError):
        save_figure(figure, tmp_path / "nowhere" / "strip.png", dpi=60)

    def disk_full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    before = (tmp_path / "strip.png").read_bytes()
    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(OutputError, match="No space"):
        save_figure(figure, tmp_path / "strip.png", dpi=60)
    assert (tmp_path / "strip.png").read_bytes() == before
    assert names(tmp_path) == ["strip.png"]
