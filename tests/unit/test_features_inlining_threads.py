"""Programs are built by several threads at once: a sweep does."""

from concurrent.futures import ThreadPoolExecutor

from edgesmith.features.catalog import feature_set
from edgesmith.features.program import Program


def test_threads_that_build_the_same_program_agree() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: Program(feature_set("base")).program_id, range(64)))
    assert len(set(ids)) == 1
