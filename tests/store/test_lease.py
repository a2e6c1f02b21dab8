"""The lease of an account: taken, renewed, released, stolen (gauntlet G27)."""

from __future__ import annotations

import pytest

from holdfast.store.database import Store
from holdfast.store.lease import (
    LEASE_MS,
    RENEW_MS,
    Claim,
    LeaseHeld,
    claim_lease,
    lease_epoch,
    release_lease,
    renew_lease,
    take_lease,
)

NOW, ACCOUNT = 1_750_000_000_000, "main"


def claimed(store: Store, holder: str, at_ms: int, host: str = "") -> Claim:
    return store.write(lambda c: claim_lease(c, ACCOUNT, holder, at_ms, host=host))


def test_a_lease_that_is_held_is_not_given_to_another(store: Store) -> None:
    assert claimed(store, "a:1", NOW, "a") == Claim(1, from_other=False)
    for host in ("", "b"):
        with pytest.raises(
            LeaseHeld, match="expected nobody else to trade it, found a:1, whose lease runs until"
        ):
            claimed(store, "b:1", NOW + LEASE_MS - 1, host)
    assert store.read(lambda c: lease_epoch(c, ACCOUNT)) == 1, "a refused claim changes nothing"


def test_a_lease_runs_out_unless_it_is_renewed(store: Store) -> None:
    claimed(store, "a:1", NOW, "a")
    assert store.write(lambda c: renew_lease(c, ACCOUNT, 1, NOW + RENEW_MS))
    with pytest.raises(LeaseHeld):
        claimed(store, "b:1", NOW + LEASE_MS, "b")
    taken = claimed(store, "b:1", NOW + RENEW_MS + LEASE_MS, "b")
    assert taken == Claim(2, from_other=True)
    assert not store.write(lambda c: renew_lease(c, ACCOUNT, 1, NOW + 2 * LEASE_MS)), "it lost the lease"
    assert not store.write(lambda c: release_lease(c, ACCOUNT, 1)), "and cannot give it away"
    with pytest.raises(LeaseHeld):
        claimed(store, "c:1", NOW + 2 * LEASE_MS, "c")


def test_who_holds_the_lock_of_the_home_need_not_wait_for_a_dead_one_of_this_machine(store: Store) -> None:
    """Killed and started again: positions may be without a stop, and nobody else can live."""
    claimed(store, "a:1", NOW, "a")
    assert claimed(store, "a:2", NOW + 1, "a") == Claim(2, from_other=False)


def test_a_released_lease_is_free_for_everybody(store: Store) -> None:
    claimed(store, "a:1", NOW, "a")
    assert store.write(lambda c: release_lease(c, ACCOUNT, 1))
    assert claimed(store, "b:1", NOW + 1, "b") == Claim(2, from_other=False)


def test_a_lease_can_be_taken_from_whoever_has_it(store: Store) -> None:
    """For whoever acts in an emergency: the epoch is the fence."""
    claimed(store, "a:1", NOW, "a")
    assert store.write(lambda c: take_lease(c, ACCOUNT, "watchdog", NOW + 1)) == 2
    assert not store.write(lambda c: renew_lease(c, ACCOUNT, 1, NOW + 2))


def test_renewing_leaves_time_for_a_failure() -> None:
    assert 2 * RENEW_MS < LEASE_MS
