"""The search finds the least cost, and never loses what it was given to begin with."""

import numpy as np

from control.inundation.search import Array, CrossEntropy

OPTIMUM = np.array([0.2, 0.9, 0.5])


def bowl(points: Array) -> list[float]:
    return [float(((point - OPTIMUM) ** 2).sum()) for point in points]


def searched(rounds: int, seed: int = 1) -> CrossEntropy:
    search = CrossEntropy([np.ones(3), np.full(3, 0.5)], size=24, seed=seed)
    for _ in range(rounds):
        search.tell(bowl(search.ask()))
    return search


def test_the_bottom_of_a_bowl_is_found() -> None:
    search = searched(25)
    assert np.abs(search.best - OPTIMUM).max() < 0.02


def test_the_points_given_first_are_tried_first() -> None:
    search = CrossEntropy([np.ones(3), np.full(3, 0.5)], size=24, seed=1)
    assert search.ask().tolist() == [[1, 1, 1], [0.5, 0.5, 0.5]]
    search.tell([3.0, 1.0])
    search.tell([9.0] * len(search.ask()))
    assert search.best.tolist() == [0.5, 0.5, 0.5]
    assert search.best_cost == 1.0


def test_a_cost_that_is_not_a_number_is_never_the_best() -> None:
    search = CrossEntropy([np.zeros(3), np.ones(3)], size=24, seed=1)
    search.ask()
    search.tell([float("nan"), 2.0])
    assert search.best.tolist() == [1, 1, 1]


def test_the_same_costs_give_the_same_search() -> None:
    assert searched(4).best.tolist() == searched(4).best.tolist()
    assert searched(4).best.tolist() != searched(4, seed=2).best.tolist()
