"""One self-contained HTML page about one run or several: ``write_report(["runs/aanet"], "report.html")``.

=======================  ================================================================
:mod:`~.inputs`          what a report reads: run folders, evaluations, comparisons
:mod:`~.sections`        one section per file, registered with ``@section``
:mod:`~.components`      tables, lists and numbers as markup
:mod:`~.figure`          figures inside the page
:mod:`~.templates`       the Jinja2 environment; ``templates/`` holds the HTML and CSS
:mod:`~.page`            the sections, joined
:mod:`~.build`           from run folders to the file
=======================  ================================================================
"""

from passerby.report.build import read_run, render_report, write_features_report, write_report
from passerby.report.inputs.evaluated_features import read_features
from passerby.report.inputs.record import read_records
from passerby.report.registry import section

__all__ = [
    "read_features",
    "read_records",
    "read_run",
    "render_report",
    "section",
    "write_features_report",
    "write_report",
]
