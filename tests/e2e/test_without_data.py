"""What happens where the data cannot be had."""

import pytest

from tests.e2e.conftest import NO_NETWORK, Workplace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_without_data_a_run_goes_on_with_the_sample_and_says_so(workplace: Workplace) -> None:
    result = workplace.run(**NO_NETWORK)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Notice: Cannot get dataset 'mnist'" in result.stdout
    assert "Going on with the embedded sample" in result.stdout
    assert workplace.summary()["dataset"] == "mnist_sample"


def test_a_dataset_that_was_asked_for_is_not_replaced(workplace: Workplace) -> None:
    result = workplace.run("--dataset", "mnist", **NO_NETWORK)
    assert result.returncode == 2
    assert "MNIST_MANUAL_DIR" in result.stderr
