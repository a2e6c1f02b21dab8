"""An exchange in a box: market replay, matching, margin, faults, behind the real wire protocols."""
