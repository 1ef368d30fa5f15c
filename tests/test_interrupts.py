"""Signals end the program in order, wherever it is."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerby.interrupts import Terminated, exit_code, orderly_signals


@pytest.fixture(autouse=True)
def _default_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def import_and_wait(name: str) -> None:
    importlib.import_module(name)
    wait()


def send_and_wait(number: int) -> None:
    os.kill(os.getpid(), number)
    wait()


def wait() -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "kind", "code"), [(signal.SIGINT, KeyboardInterrupt, 130), (signal.SIGTERM, Terminated, 143)]
)
def test_a_signal_becomes_an_exception(number: int, kind: type[KeyboardInterrupt], code: int) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, orderly_signals():
        send_and_wait(number)
    assert type(caught.value) is kind
    assert exit_code(caught.value) == code
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_signal_during_an_import_waits_for_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.2)\ncomplete = True\n"
    (tmp_path / "interrupted_import.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), orderly_signals():
        import_and_wait("interrupted_import")
    assert sys.modules["interrupted_import"].complete  # type: ignore[attr-defined]


def test_a_signal_in_a_finalizer_is_not_lost() -> None:
    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    def finalize_and_wait() -> None:
        Finalized()
        wait()

    with pytest.raises(KeyboardInterrupt), orderly_signals():
        finalize_and_wait()


def test_an_import_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.interrupts._PATIENCE", 0.2)
    code = "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\nwhile True: time.sleep(0.01)\n"
    (tmp_path / "endless_import.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Terminated), orderly_signals():
        importlib.import_module("endless_import")


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with orderly_signals():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_other_threads_change_nothing() -> None:
    seen: list[object] = []

    def look() -> None:
        with orderly_signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


@pytest.mark.parametrize("after", [0.15, 0.4, 1.0])
def test_an_interruption_of_the_start_is_one_line(after: float, tmp_path: Path) -> None:
    """At any moment of the imports, or after the program has ended."""
    paths = [str(tmp_path), str(tmp_path), "-o", str(tmp_path / "x.parquet")]
    arguments = [sys.executable, "-m", "passerby", "embed", *paths]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        time.sleep(after)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=60)
    assert program.returncode in (130, 1, -signal.SIGINT)
    if "passerby: " in errors:  # else Python itself was starting
        assert "Traceback" not in errors
        assert all(line.startswith("passerby: ") for line in errors.splitlines())


def test_a_second_signal_ends_at_once_what_holds_the_first_back(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time\nprint('in', flush=True)\nwhile True: time.sleep(0.01)\n")
    code = "from passerby.interrupts import orderly_signals\nwith orderly_signals():\n    import endless\n"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.send_signal(signal.SIGINT)
        assert program.stderr.readline() == "passerby: ending; once more to stop at once\n"
        began = time.monotonic()
        while program.poll() is None and time.monotonic() - began < 15:
            program.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert program.stderr.read() == "passerby: stopped\n"
    assert program.returncode == 130
