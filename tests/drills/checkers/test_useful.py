"""The usefulness floor: entries, minutes in which a healthy bot may trade, and exposure to troubles."""

from __future__ import annotations

from holdfast.drills.checkers.useful import Figures
from tests.drills.checkers.court import Court, court


def figures(sitting: Court) -> Figures:
    return sitting.checkers.useful.figures


def test_entries_are_counted_as_the_exchange_sees_them() -> None:
    sitting = court()
    for _ in range(3):
        sitting.enter()
        sitting.protect()
        sitting.go(1_200)
        sitting.close()
        sitting.go(1_200)
    assert figures(sitting).entries == 3
    assert 2.9 < figures(sitting).entries_per_2h < 3.1


def test_every_minute_of_a_bot_that_is_ready_is_usable() -> None:
    sitting = court()
    sitting.go(600)
    assert (figures(sitting).healthy_minutes, figures(sitting).usable_share) == (10, 1.0)


def test_a_bot_that_refuses_without_a_trouble_is_shown_with_its_reasons() -> None:
    sitting = court()
    sitting.go(300)
    sitting.hindered = "mode: reduce_only"
    sitting.go(300)
    assert figures(sitting).usable_share == 0.5
    assert figures(sitting).unusable == {"mode: reduce_only": 5}


def test_minutes_in_trouble_and_their_aftermath_are_not_healthy() -> None:
    """Ten minutes; a trouble stands from the third to the fifth, another strikes once in the eighth."""
    sitting = court()
    sitting.go(130)
    sitting.checkers.useful.began("maintenance")
    sitting.go(120)
    sitting.checkers.useful.ended("maintenance", sitting.now_ms)
    sitting.go(180)
    sitting.checkers.struck("lost_reply", sitting.now_ms)
    sitting.go(170)
    assert figures(sitting).minutes == 10
    assert figures(sitting).healthy_minutes == 4


def test_a_world_counts_as_exposed_when_a_trouble_strikes_a_holder() -> None:
    sitting = court()
    sitting.checkers.struck("lost_reply", sitting.now_ms)
    assert figures(sitting).exposed_share == 0.0
    sitting.enter()
    sitting.checkers.struck("lost_reply", sitting.now_ms)
    assert figures(sitting).exposed_share == 1.0


def test_figures_of_many_worlds_add_up() -> None:
    total = Figures(worlds=0)
    for entries, exposed in ((2, 1), (0, 0)):
        total.merge(
            Figures(
                entries=entries,
                simulated_ms=7_200_000,
                minutes=120,
                healthy_minutes=100,
                usable_minutes=80,
                exposed_worlds=exposed,
            )
        )
    assert (total.worlds, total.entries_per_2h) == (2, 1.0)
    assert (total.usable_share, total.exposed_share) == (0.8, 0.5)


def test_no_healthy_minute_is_no_share() -> None:
    assert Figures().usable_share is None
