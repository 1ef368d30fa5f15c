"""The shell around the commands: help, version, errors, interruption."""

from __future__ import annotations

import pytest

import passerby
from passerby.errors import PasserbyError

COMMANDS = ("data", "demo", "embed", "evaluate", "import-weights", "models", "search", "train")


def test_help_names_every_command(run) -> None:
    done = run("--help")
    assert done.code == 0
    assert all(f" {command} " in done.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command: str) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert "Usage: passerby " + command in done.out


def test_version(run) -> None:
    assert run("--version").out == f"passerby {passerby.__version__}\n"


def test_misuse_is_exit_code_2(run) -> None:
    done = run("evaluate", "--nonsense")
    assert done.code == 2
    assert "--nonsense" in done.err
    assert "Traceback" not in done.err


def _failing(error: BaseException):
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_an_error_is_one_line(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.models.registry.list_models", _failing(PasserbyError("first\n  second")))
    assert run("models") == (1, "", "passerby: first second\n")


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_the_traceback(run, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr("passerby.models.registry.list_models", _failing(PasserbyError("a reason")))
    if how == "variable":
        monkeypatch.setenv("PASSERBY_DEBUG", "1")
    with pytest.raises(PasserbyError, match="a reason"):
        run(*(["--debug"] if how == "option" else []), "models")


def test_interruption_is_one_line(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.models.registry.list_models", _failing(KeyboardInterrupt()))
    assert run("models") == (130, "", "passerby: interrupted\n")


def test_a_bug_keeps_its_traceback(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.models.registry.list_models", _failing(ZeroDivisionError("bug")))
    with pytest.raises(ZeroDivisionError):
        run("models")
