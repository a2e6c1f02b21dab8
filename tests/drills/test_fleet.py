"""Many drills over processes: nothing is lost, nothing is silent, second runs are really elsewhere."""

from __future__ import annotations

import itertools

from holdfast.drills.fleet import FIRST_HASH_SEED, SECOND_HASH_SEED, every, run_fleet
from holdfast.drills.spec import WorldSpec

from .work import told, walked


def test_every_task_is_answered_once() -> None:
    done = list(run_fleet(told, [f"task {n}" for n in range(12)], jobs=2))
    assert sorted(each.task for each in done) == sorted(f"task {n}" for n in range(12))
    assert all(each.answer is not None and each.answer.startswith(each.task) for each in done)
    assert all(each.again is None and not each.failure for each in done)


def test_a_second_run_is_in_another_process_with_another_hash_seed() -> None:
    done = {each.task: each for each in run_fleet(told, ["a", "b", "c", "d"], jobs=2, twice=every(2))}
    assert [task for task, each in sorted(done.items()) if each.again is not None] == ["a", "c"]
    first, second = done["a"].answer, done["a"].again
    assert first is not None
    assert second is not None
    assert first.split()[1:] != second.split()[1:]
    assert first.split()[1] == FIRST_HASH_SEED
    assert second.split()[1] == SECOND_HASH_SEED


def test_a_set_of_the_usual_symbols_is_walked_differently_the_second_time() -> None:
    symbols = tuple(map(str, WorldSpec().symbol_list()))
    pairs = [pair for pair in itertools.combinations(symbols, 2) if "SOL/USDT:USDT" in pair]
    for done in run_fleet(walked, [symbols, *pairs], jobs=2, twice=every(1)):
        assert done.answer is not None
        assert done.again is not None
        assert done.answer[0] != done.again[0], done.task


def test_a_dying_worker_is_one_failed_task_and_the_others_go_on() -> None:
    done = {each.task: each for each in run_fleet(told, ["a", "die", "b", "fail", "c"], jobs=1)}
    assert done["die"].answer is None
    assert done["die"].failure == "its process died with status 7"
    assert done["fail"].failure == "its process died with status 1"
    assert all(done[name].answer for name in "abc")


def test_tasks_may_be_endless_and_are_asked_for_as_they_are_needed() -> None:
    asked = []

    def endless():
        for number in itertools.count():
            asked.append(number)
            yield f"task {number}"

    answers = run_fleet(told, endless(), jobs=1)
    assert next(answers).task == "task 0"
    assert next(answers).task == "task 1"
    answers.close()
    assert len(asked) <= 3
