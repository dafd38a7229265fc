"""Every form in which a function may be named."""

from __future__ import annotations

import pytest

from tailorbird.errors import Invalid
from tailorbird.functions import names
from tailorbird.functions.names import FunctionRef

FORMS = {
    "hook": FunctionRef("1" * 12, "eu-west-1", "hook"),
    "hook:live": FunctionRef("1" * 12, "eu-west-1", "hook", "live"),
    "hook:$LATEST": FunctionRef("1" * 12, "eu-west-1", "hook", "$LATEST"),
    "222222222222:function:hook": FunctionRef("2" * 12, "eu-west-1", "hook"),
    "arn:aws:lambda:us-east-1:222222222222:function:hook": FunctionRef(
        "2" * 12, "us-east-1", "hook"
    ),
    "arn:aws:lambda:us-east-1:222222222222:function:hook:7": FunctionRef(
        "2" * 12, "us-east-1", "hook", "7"
    ),
}


@pytest.mark.parametrize("text", FORMS)
def test_a_function_is_found_by_name_partial_and_full_arn(text: str):
    assert names.parse(text, "1" * 12, "eu-west-1") == FORMS[text]


def test_the_qualifier_of_the_arn_must_be_the_one_asked_for():
    with pytest.raises(Invalid, match="does not match the specified qualifier"):
        names.parse("hook:live", "1" * 12, "eu-west-1", "7")


@pytest.mark.parametrize("text", ["", "a b", "x" * 65, "arn:aws:s3:::hook", "../hook", "hook:"])
def test_what_is_no_function_name_is_refused(text: str):
    with pytest.raises(Invalid) as refused:
        names.parse(text, "1" * 12, "eu-west-1")
    assert refused.value.code == "ValidationException"
