"""Every command of the documents and of the recipes runs, on a miniature of the files that it names.

Names stay as they are written: a folder of 8 synthetic people stands for every dataset, one small network for every
weights file, and sizes, batches and epochs are small. A command that cannot run so is listed with the reason.
"""

from __future__ import annotations

import inspect
import io
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from passerby.cli import main
from passerby.models.backbones import create_backbone
from passerby.models.registry import create_model
from passerby.recipes.registry import RECIPES

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/*.md", "benchmarks/README.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"(?:^|\s)passerby +(?=[-a-z])(.*)")
WORLD = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"
TINY: dict[str, Any] = {"data.height": 64, "data.width": 32, "sampler.p": 2, "sampler.k": 2, "epochs": 1}
SMALL_BACKBONE = "resnet18_half"
ELSEWHERE = {
    r"\$": "a measured run with variables of the shell; the command without them is run",
    r"^--plugin ": "tests/cli/test_extending.py runs the code of the page",
    r"RECIPE --data DATA --run RUN": "several processes, started by accelerate; tests/training/test_loop.py runs them",
    r"=hf:": "downloads",
    r"^calibrate .*--gallery": "needs 20 confirmed pairs; tests/cli/commands/test_calibrate.py runs it",
    r"^reproduce aap_reid table3 .*--init": "real ResNets; tests/recipes/test_reproduce_several.py runs it",
    r"^reproduce .*cuhk03": "three datasets; tests/recipes/test_reproduce_several.py runs it",
    r"^(figures|report) ": "slow to draw; tests/cli/figures and tests/cli/commands/test_report.py run them",
    r"^gallery shell ": "reads standard input; tests/cli/commands/test_gallery_shell.py runs it",
    r"^export |model\.onnx": "needs passerby[onnx]; tests/cli/commands/test_export.py runs it",
    r"^adapt ": "clusters of crops without labels; tests/training/adapt/test_adapt.py runs it",
    r"s3://": "object storage; tests/data/test_remote.py reads from addresses",
    r"--engine ray": "needs the extra ray; tests/scale runs it",
    r"^gallery engine ": "needs a server; tests/gallery/engines start one",
    r"--list -": "standard input; tests/cli/commands/test_ingest.py runs it",
    r"--follow": "runs until it is ended; tests/cli/commands/test_ingest.py runs it",
    r"^ingest .*(\.mp4|\.avi|rtsp:)": "needs passerby[video,onnx]; tests/cli/commands/test_ingest_video.py runs it",
    r"^train pose": "the pose network; tests/cli/commands/test_train_pose.py runs it",
}
"""The commands that are not run here, and why."""
RECIPE_OF = {
    "dual_attention": "dual_attention",
    "resnet50": "dual_attention",
    "aanet": "aanet",
    "imagenet": "attention_driven_imagenet",
}
"""The recipe of a run by its name in the documents; of others ``attention_driven`` by its prefix, else ``aap_reid``."""
FURTHER = ("reproduce aanet table4 --data DATA --set data.attributes=FILE --rows aanet152",)
"""Commands that the documents name in pieces only."""


def commands_of_recipes() -> dict[str, str]:
    """The command of each recipe's docstring."""
    found = {}
    for name in RECIPES:  # the pose network's is not among them
        text = " ".join((inspect.getdoc(RECIPES[name]) or "").split())
        command = re.search(r"Command: ``passerby (.+?)``", text)
        assert command, f"{name} has no command"
        found[name] = command.group(1)
    return found


def commands_of_pages() -> Iterator[str]:
    """The command lines of every page's shell blocks."""
    for page in sorted(page for pattern in PAGES for page in REPOSITORY.glob(pattern)):
        found = FENCE.findall(page.read_text(encoding="utf-8"))
        for block in (code for language, code in found if language in ("", "sh", "bash", "shell")):
            for line in block.replace("\\\n", " ").splitlines():
                for command in PROGRAM.findall(line.partition(" #")[0]):
                    yield " ".join(command.split())


def commands_to_run() -> list[str]:
    """Those that can be run here; of several that differ in values only, the first."""
    found = {kind(command): command for command in reversed(list(commands_of_pages())) if not reason(command)}
    return list(reversed(found.values()))


def kind(command: str) -> tuple[str, ...]:
    """What a command does, without the values of its options."""
    words = shlex.split(command)
    head = tuple(word for word in words[:3] if re.fullmatch(r"[a-z][a-z0-9_-]*", word))
    place = "synthetic" if "pedestrians:" in command else ""
    return (*head, place, *sorted(word.partition("=")[0] for word in words if re.match(r"-|\w+(\.\w+)+=", word)))


def reason(command: str) -> str | None:
    return next((why for pattern, why in ELSEWHERE.items() if re.search(pattern, command)), None)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, draw_people: Callable[..., Path]) -> Path:
    """A folder with the datasets, images and weights that the commands name."""
    root = tmp_path_factory.mktemp("tree")
    world = draw_people(root / "DATA", people=8, cameras=2, images=2, size=(64, 32))
    for name in ("PATH", "OUT", "VALIDATION", "TEST", "PLACE", "mine", "DukeMTMC-reID"):
        shutil.copytree(world, root / name)
    for image in (root / "DukeMTMC-reID").glob("*/*.jpg"):
        image.rename(image.with_name(re.sub(r"_c(\d)s1_(\d+)_00", r"_c\1_f0\2", image.name)))
    shutil.make_archive(str(root / "Market-1501"), "zip", root, "DATA")
    for number, image in enumerate(sorted((world / "bounding_box_train").glob("*.jpg"))):
        person = root / "people" / image.name[:4]
        person.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, person / f"c{image.name[6]}_{number}.jpg")
    (root / "people" / "0001").rename(root / "people" / "bob")
    image = next((root / "people" / "bob").glob("c2*"))
    image.rename(image.with_name("c2_17.jpg"))
    shutil.make_archive(str(root / "people"), "zip", root / "people")
    for name in ("FOLDER", "ILSVRC2012/train", "ILSVRC2012/val"):
        shutil.copytree(root / "people", root / name)
    shots = sorted((world / "query").glob("*.jpg"))
    for name, shot in zip(("query", "photo", "a", "b"), shots, strict=False):
        shutil.copy(shot, root / f"{name}.jpg")
    for name, lower in (("A", "a"), ("B", "b")):
        if not (root / f"{name}.jpg").exists():
            shutil.copy(root / f"{lower}.jpg", root / f"{name}.jpg")
    for name in ("market_attribute.mat", "FILE"):  # a name decides nothing: the table is read as it is
        shutil.copy(world / "attributes.csv", root / f"{name}.csv")
    osnet = create_model("osnet_x0_25", num_classes=4)
    torch.save(osnet.state_dict(), root / "osnet_x0_25_market1501.pth")
    return root


def write_weights(path: Path, backbone: str) -> None:
    """Write a small backbone's weights under the name of a large one's."""
    if path.exists():
        return
    state = {k: v.contiguous() for k, v in create_backbone(backbone).state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)


def in_miniature(command: str, tree: Path) -> list[str]:
    """The words of a command with small sizes; files that it names and that are no data are made."""
    words = [re.sub(r"pedestrians:[\w=,]+", WORLD, word) for word in shlex.split(command)]
    queries = sorted(path.name for path in (tree / "DATA" / "query").glob("*.jpg"))
    gallery = sorted(path.name for path in (tree / "DATA" / "bounding_box_test").glob("*.jpg"))
    words = [re.sub(r"(?<=query/)\d{4}_\w+\.jpg", queries[0], word) for word in words]
    words = [re.sub(r"(?<=bounding_box_test/)\d{4}_\w+\.jpg", gallery[0], word) for word in words]
    words = [re.sub(r"(^|=)(market_attribute\.mat|FILE)$", r"\1\2.csv", word) for word in words]
    for at, word in enumerate(words):
        if word == "--queries" and words[at + 1].endswith(".jpg"):
            words[at + 1] = queries.pop()
    if words[0] == "evaluate" and "--rerank" in words:  # of fewer images than the default has neighbors
        words = [*without(words, "--k1", "--k2"), "--k1", "5", "--k2", "3"]
    if words[:2] == ["data", "synthesize"]:
        small = {"--people": "8", "--cameras": "2", "--images": "2", "--size": "64x32"}
        words = [small.get(before, word) for before, word in zip(["", *words], words, strict=False)]
        words[2] = f"made/{len(list(tree.glob('made/*')))}"
    return with_small_settings(words, tree) if words[0] in ("train", "reproduce") else words


def with_small_settings(words: list[str], tree: Path) -> list[str]:
    if "--resume" in words or (words[0] == "reproduce" and ("--list" in words or words[2] == "table2")):
        return words
    given = dict(words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "--set")
    kept = [w for at, w in enumerate(words) if w != "--set" and (at == 0 or words[at - 1] != "--set")]
    parts = words[1].startswith("attention_driven")
    network = {"model.options.width": 0.25} if parts else {"model.options.backbone": SMALL_BACKBONE}
    own = words[1].startswith("street")  # its options fit its own backbone only
    network = {} if own else network
    backbone = "mobilenet_v2" if own else SMALL_BACKBONE
    if not given.get("model.backbone_weights", "runs/").startswith("runs/"):
        write_weights(tree / given["model.backbone_weights"], backbone)
    small = {**TINY, **network}
    if words[0] == "reproduce":
        del small["epochs"]
        kept = without(kept, "--epochs", "--output")
        kept += ["--epochs", "1", "--output", f"made/{len(list(tree.glob('made/*')))}"]
        kept += [] if "--rows" in kept else ["--rows", "baseline"]
    else:
        kept = [*without(kept, "--run"), "--run", f"made/{len(list(tree.glob('made/*')))}"]
    return [*kept, *(word for key, value in {**given, **small}.items() for word in ("--set", f"{key}={value}"))]


def without(words: list[str], *options: str) -> list[str]:
    return [w for at, w in enumerate(words) if w not in options and (at == 0 or words[at - 1] not in options)]


def failure(words: list[str]) -> str | None:
    """Run a command; return what is wrong, or ``None``."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
        main(words)
    if not stop.value.code:
        return None
    return f"passerby {shlex.join(words)}: {' '.join(err.getvalue().split())[-300:]}"


def run_of(name: str, trained: dict[str, Path]) -> Path:
    default = "attention_driven" if name.startswith("attention_driven") else "aap_reid"
    return trained[RECIPE_OF.get(name, default)]


def make_inputs(words: list[str], tree: Path, trained: dict[str, Path]) -> None:
    """Make the runs and the stored embeddings that a command reads, and remove what it writes again."""
    for word in (word.rpartition("=")[2] for word in words if words[0] != "import-weights"):
        if re.fullmatch(r"runs/\w+|RUN", word) and not (tree / word).exists():
            shutil.copytree(run_of(word.removeprefix("runs/"), trained), tree / word)
    gallery = words[words.index("--gallery") + 1] if "--gallery" in words else ""
    if gallery.endswith(".parquet"):
        (tree / gallery).unlink(missing_ok=True)
        assert failure(["embed", words[1], "people/", "-o", gallery]) is None
    for word in words if not gallery else ():
        if word in ("theirs.parquet", "ours.parquet") and not (tree / word).exists():
            shutil.copy(tree / "F.parquet", tree / word)
    if "-o" in words and words[0] != "reproduce":
        (tree / words[words.index("-o") + 1]).unlink(missing_ok=True)


@pytest.mark.usefixtures("_no_shape_checker")
def test_every_command_runs(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    monkeypatch.delenv("PASSERBY_DEBUG", raising=False)
    trained: dict[str, Path] = {}
    failed = []
    for recipe, command in commands_of_recipes().items():
        words = in_miniature(command, tree)
        failed.append(failure(words))
        trained[recipe] = tree / words[words.index("--run") + 1]
    for command in (*commands_to_run(), *FURTHER):
        words = in_miniature(command, tree)
        make_inputs(words, tree, trained)
        failed.append(failure(words))
    assert not any(failed), "\n".join(["", *filter(None, failed)])


@pytest.mark.parametrize("pattern", ELSEWHERE)
def test_what_is_not_run_is_there(pattern: str) -> None:
    commands = [*commands_of_pages(), "train pose --data people"]
    assert any(re.search(pattern, command) for command in commands), "no such command is left: remove it"
