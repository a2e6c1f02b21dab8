"""The gauntlet: faults that real bots failed, each a drill with a name, judged by the exchange's truth."""

from holdfast.drills.gauntlet.row import Outcome, Row, Verdict, row_named, rows, rows_of, run_row

__all__ = ["Outcome", "Row", "Verdict", "row_named", "rows", "rows_of", "run_row"]
