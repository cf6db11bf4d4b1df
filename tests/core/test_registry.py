"""What a user's own component raises becomes a message that names it, unless it tells of a file."""

import pytest

from learner_ray.core.errors import UserError
from learner_ray.core.registry import BuiltIn, Registry

KINDS = Registry(kind="kind", base="a:B", built_in={"ours": BuiltIn(address="a:Ours")})


@pytest.mark.parametrize("error", [ValueError("no"), OSError("file signature not found")])
def test_an_error_of_a_user_s_component_names_it(error):
    said = f"the kind 'mine' fails: {type(error).__name__}: {error}"
    with pytest.raises(UserError, match=said), KINDS.own_code("mine"):
        raise error
    with pytest.raises(type(error)), KINDS.own_code("ours"):
        raise error


@pytest.mark.parametrize("error", [FileNotFoundError(2, "none", "x"), MemoryError(), UserError("said")])
def test_an_error_of_a_file_or_the_machine_is_left_as_it_is(error):
    with pytest.raises(type(error)) as caught, KINDS.own_code("mine"):
        raise error
    assert caught.value is error
