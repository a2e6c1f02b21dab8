"""Cases are plain functions with asserts: their failures are told like those of tests."""

import pytest

SECTIONS = ("facts", "orders", "doubts", "stops", "settings", "refusals", "restarts", "streams", "reads")

pytest.register_assert_rewrite(*(f"tests.conformance.{name}" for name in ("stand", *SECTIONS)))
