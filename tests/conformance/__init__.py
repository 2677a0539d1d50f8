"""What every protocol must pass, and a toy protocol that shows how little a new one takes."""

import pytest

pytest.register_assert_rewrite("tests.conformance.kit", "tests.conformance.stage", "tests.conformance.world")
