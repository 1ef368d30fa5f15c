"""One self-contained page about one run or several: ``write_report(["runs/aanet"], "report.html")``.

=====================  ==========================================================
:mod:`~.record`        what a run's folder says
:mod:`~.tested`        its model on test data, embedded once for everything
:mod:`~.numbers` …     a section of the page each, of both
:mod:`~.html`          markup as values, everything else escaped
:mod:`~.page`          the sections, joined
:mod:`~.build`         from folders to the file
=====================  ==========================================================
"""

from passerby.report.build import read_run, report, write_report
from passerby.report.inputs.record import read_records

__all__ = ["read_records", "read_run", "report", "write_report"]
