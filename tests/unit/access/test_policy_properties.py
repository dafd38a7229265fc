"""What holds for every policy and every request, whatever they say."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tailorbird.access import evaluate
from tailorbird.access.documents import check_document
from tailorbird.access.patterns import arn_matches, matches
from tailorbird.access.policies import Request
from tailorbird.errors import Invalid

FEW = settings(max_examples=150, deadline=None)
ACCOUNT = "123456789012"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
VALUES = ("a", "b", "ab", "a*", "?", "10", "9.5", "true", "10.1.2.3", "2026-11-21T00:00:00Z",
          "arn:aws:s3:::a", FUNCTION)  # fmt: skip
POSITIVE = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnLike", "ArnEquals",
            "NumericEquals", "DateEquals", "IpAddress")  # fmt: skip

values = st.sampled_from(VALUES)
operators = st.sampled_from(
    [prefix + name + suffix
     for prefix in ("", "ForAnyValue:", "ForAllValues:")
     for name in (*POSITIVE, "StringNotEquals", "ArnNotLike", "NotIpAddress", "Bool",
                  "NumericLessThan", "DateGreaterThan", "StringSounds")
     for suffix in ("", "IfExists")]
)  # fmt: skip
conditions = st.dictionaries(
    operators,
    st.dictionaries(
        st.sampled_from(["k", "K2", "aws:SourceArn"]),
        values | st.lists(values, min_size=1, max_size=3),
        min_size=1,
    ),
    max_size=2,
)
statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Action": st.sampled_from(["lambda:InvokeFunction", "LAMBDA:invoke*", "s3:*", "*"]),
        "Resource": st.sampled_from([FUNCTION, FUNCTION + ":1", "*", "arn:aws:lambda:*"]),
        "Principal": st.sampled_from(["*", {"AWS": ACCOUNT}, {"Service": "s3.amazonaws.com"}]),
    },
    optional={"Condition": conditions},
)
contexts = st.dictionaries(
    st.sampled_from(["K", "k2", "AWS:SOURCEARN"]), values | st.lists(values, max_size=3)
)
requests = st.builds(
    Request,
    st.sampled_from([f"arn:aws:iam::{ACCOUNT}:role/r", "s3.amazonaws.com", "9" * 12]),
    st.sampled_from(["lambda:InvokeFunction", "s3:GetObject"]),
    st.sampled_from([FUNCTION, FUNCTION + ":1"]),
    contexts,
)
policies = st.lists(statements, min_size=1, max_size=4)


def policy(many: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": many}


def verdict(many: list[dict[str, Any]], request: Request) -> tuple[bool, bool]:
    decision = evaluate([policy(many)], request)
    return decision.allowed, decision.explicit_deny


@FEW
@given(policies, requests)
def test_the_order_of_statements_says_nothing(many: list[dict[str, Any]], request: Request) -> None:
    found = {verdict(list(some), request) for some in itertools.permutations(many)}
    assert len(found) == 1


@FEW
@given(policies, requests)
def test_statements_may_stand_in_one_policy_or_in_many(
    many: list[dict[str, Any]], request: Request
) -> None:
    apart = evaluate([policy([one]) for one in many], request)
    assert (apart.allowed, apart.explicit_deny) == verdict(many, request)


@FEW
@given(policies, statements, requests)
def test_one_more_deny_lets_nobody_in_and_one_more_allow_shuts_nobody_out(
    many: list[dict[str, Any]], one: dict[str, Any], request: Request
) -> None:
    allowed, denied = verdict(many, request)
    then_allowed, then_denied = verdict([*many, one], request)
    if one["Effect"] == "Deny":
        assert then_allowed <= allowed and then_denied >= denied
    else:
        assert then_allowed >= allowed and then_denied == denied


@FEW
@given(policies, requests)
def test_one_value_alone_is_a_list_of_one(many: list[dict[str, Any]], request: Request) -> None:
    listed = [
        {
            **statement,
            "Action": [statement["Action"]],
            "Resource": [statement["Resource"]],
            "Principal": {kind: [who] for kind, who in statement["Principal"].items()}
            if isinstance(statement["Principal"], dict)
            else statement["Principal"],
            "Condition": {
                operator: {
                    key: wanted if isinstance(wanted, list) else [wanted]
                    for key, wanted in keys.items()
                }
                for operator, keys in statement.get("Condition", {}).items()
            },
        }
        for statement in many
    ]
    assert verdict(listed, request) == verdict(many, request)


@FEW
@given(st.sampled_from(["Action", "Resource", "Principal"]), statements, requests)
def test_the_opposite_of_a_member_covers_the_rest(
    member: str, statement: dict[str, Any], request: Request
) -> None:
    """With nothing else to decide, a statement or its opposite applies, never both."""
    whole = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}
    plain = {**whole, member: statement[member]}
    opposite = {name: value for name, value in whole.items() if name != member}
    opposite[f"Not{member}"] = statement[member]
    assert verdict([plain], request)[0] != verdict([opposite], request)[0]


def holds(operator: str, wanted: Any, context: dict[str, Any]) -> bool:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
                 "Condition": {operator: {"k": wanted}}}  # fmt: skip
    return verdict([statement], Request("s3.amazonaws.com", "s3:x", "r", context))[0]


@FEW
@given(st.sampled_from(POSITIVE), values | st.lists(values, min_size=1), values)
def test_a_negated_operator_is_the_opposite_where_the_key_is_given(
    name: str, wanted: Any, value: str
) -> None:
    negated = "NotIpAddress" if name == "IpAddress" else _negated(name)
    assert holds(name, wanted, {"k": value}) != holds(negated, wanted, {"k": value})
    assert (holds(name, wanted, {}), holds(negated, wanted, {})) == (False, True)


def _negated(name: str) -> str:
    for start in ("String", "Arn", "Numeric", "Date"):
        if name.startswith(start):
            return f"{start}Not{name.removeprefix(start)}"
    raise AssertionError(name)


@FEW
@given(st.sampled_from(POSITIVE), values, st.none() | values)
def test_if_exists_counts_only_where_the_key_is_missing(
    name: str, wanted: str, value: str | None
) -> None:
    context = {} if value is None else {"k": value}
    expected = True if value is None else holds(name, wanted, context)
    assert holds(f"{name}IfExists", wanted, context) is expected


@FEW
@given(st.sampled_from(POSITIVE), values, st.lists(values, max_size=3))
def test_quantifiers_are_any_and_all(name: str, wanted: str, given_: list[str]) -> None:
    each = [holds(name, wanted, {"k": value}) for value in given_]
    assert holds(f"ForAnyValue:{name}", wanted, {"k": given_}) is any(each)
    assert holds(f"ForAllValues:{name}", wanted, {"k": given_}) is all(each)


def reference(pattern: str, text: str) -> bool:
    """The textbook's way: one letter of the pattern at a time."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return reference(pattern[1:], text) or bool(text and reference(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and reference(pattern[1:], text[1:])


small = st.text(alphabet="ab*?.[", max_size=7)


@FEW
@given(small, st.text(alphabet="ab.[\n", max_size=7))
def test_patterns_are_read_as_the_textbook_reads_them(pattern: str, text: str) -> None:
    assert matches(pattern, text) is reference(pattern, text)


part = st.text(alphabet="ab*?", max_size=3)


@FEW
@given(st.lists(part, min_size=5, max_size=5), st.lists(st.text(alphabet="ab", max_size=3),
                                                        min_size=5, max_size=5))  # fmt: skip
def test_arns_match_part_by_part(wanted: list[str], given_: list[str]) -> None:
    found = arn_matches(":".join(["arn", *wanted]), ":".join(["arn", *given_]))
    assert found is all(reference(w, g) for w, g in zip(wanted, given_, strict=True))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([*VALUES, "*", "lambda:*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["AWS", "StringEquals", "k", "Service"]), inner, max_size=2
        )
    ),
    max_leaves=6,
)
anything = st.dictionaries(
    st.sampled_from(["Effect", "Action", "Resource", "Principal", "Condition", "NotAction", "Sid"]),
    json_values,
)


@FEW
@given(anything, st.sampled_from(["identity", "resource", "trust"]), requests)
def test_what_is_accepted_as_a_policy_can_be_evaluated(
    statement: dict[str, Any], use: Any, request: Request
) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | statement]})
    try:
        document = check_document(text, use)
    except Invalid:
        return
    assert evaluate([document], request).allowed in (True, False)
