"""One evaluation for every policy: the cases of the user guide and of Pinpoint's hooks."""

from typing import Any

import pytest

from tailorbird.access import Request, evaluate

PINPOINT = "pinpoint.us-east-1.amazonaws.com"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:filter"
APPS = "arn:aws:mobiletargeting:us-east-1:123456789012"
CAMPAIGN = f"{APPS}:apps/app1/campaigns/c1"
ROLE = "arn:aws:iam::123456789012:role/etl"
SESSION = "arn:aws:sts::123456789012:assumed-role/etl/night"


def statement(**members: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": {"Service": PINPOINT},
        "Action": "lambda:InvokeFunction",
        "Resource": FUNCTION,
    }
    return {k: v for k, v in (base | members).items() if v is not None}


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def asked(
    principal: str = PINPOINT,
    action: str = "lambda:InvokeFunction",
    resource: str = FUNCTION,
    **context: Any,
) -> Request:
    return Request(
        principal, action, resource, {k.replace("__", ":"): v for k, v in context.items()}
    )


HOOK = asked(aws__SourceArn=CAMPAIGN, aws__SourceAccount="123456789012")


@pytest.mark.parametrize(
    ("source_arn", "allowed"),
    [
        (CAMPAIGN, True),
        (f"{APPS}:apps/app1/campaigns/*", True),
        (f"{APPS}:apps/app1*", True),
        (f"{APPS}:apps/*", True),
        (f"{APPS}:/apps/app1*", True),
        (f"{APPS}:*", True),
        (f"{APPS}:recommenders/*", False),
        (f"{APPS}:apps/app2/campaigns/*", False),
        ("arn:aws:mobiletargeting:us-east-1:999999999999:*", False),
        ("arn:aws:mobiletargeting:*", False),
        ("*", False),
    ],
)
def test_pinpoint_source_arns_in_the_wild(source_arn: str, allowed: bool) -> None:
    condition = {"ArnLike": {"AWS:SourceArn": source_arn}}
    decision = evaluate([policy(statement(Condition=condition))], HOOK)
    assert decision.allowed is allowed


def test_a_recommender_is_matched_by_its_shape() -> None:
    condition = {"ArnLike": {"AWS:SourceArn": f"{APPS}:recommenders/*"}}
    request = asked(aws__SourceArn=f"{APPS}:recommenders/r1")
    assert evaluate([policy(statement(Condition=condition))], request).allowed


@pytest.mark.parametrize(
    ("listed", "principal", "allowed"),
    [
        ({"Service": PINPOINT}, PINPOINT, True),
        ({"Service": "pinpoint.amazonaws.com"}, PINPOINT, True),
        ({"Service": "pinpoint.eu-west-1.amazonaws.com"}, PINPOINT, False),
        ({"Service": PINPOINT}, "pinpoint.amazonaws.com", False),
        ({"Service": "personalize.amazonaws.com"}, PINPOINT, False),
        ({"Service": ["s3.amazonaws.com", PINPOINT]}, PINPOINT, True),
        ("*", PINPOINT, True),
        ({"AWS": "*"}, ROLE, True),
        ({"AWS": "123456789012"}, ROLE, True),
        ({"AWS": "arn:aws:iam::123456789012:root"}, ROLE, True),
        ({"AWS": "arn:aws:iam::123456789012:root"}, SESSION, True),
        ({"AWS": "arn:aws:iam::999999999999:root"}, ROLE, False),
        ({"AWS": ROLE}, SESSION, True),
        ({"AWS": "arn:aws:iam::123456789012:role/jobs/etl"}, SESSION, True),
        ({"AWS": "arn:aws:iam::999999999999:role/etl"}, SESSION, False),
        ({"AWS": SESSION}, SESSION, True),
        ({"AWS": SESSION}, SESSION + "2", False),
        ({"AWS": "arn:aws:iam::123456789012:role/*"}, ROLE, False),
        ({"AWS": PINPOINT}, PINPOINT, False),
        ({"Federated": "accounts.google.com"}, "accounts.google.com", True),
        ("arn:aws:iam::123456789012:root", ROLE, False),
        ({}, ROLE, False),
    ],
)
def test_principals(listed: Any, principal: str, allowed: bool) -> None:
    decision = evaluate([policy(statement(Principal=listed))], asked(principal))
    assert decision.allowed is allowed


@pytest.mark.parametrize(
    ("members", "request_", "allowed"),
    [
        ({"Action": "lambda:invokefunction"}, asked(), True),
        ({"Action": "lambda:Invoke*"}, asked(), True),
        ({"Action": "lambda:InvokeFunctio?"}, asked(), True),
        ({"Action": "*"}, asked(), True),
        ({"Action": ["s3:GetObject", "lambda:*"]}, asked(), True),
        ({"Action": "lambda:GetFunction"}, asked(), False),
        ({"Action": None, "NotAction": "lambda:*"}, asked(), False),
        ({"Action": None, "NotAction": "s3:*"}, asked(), True),
        ({"Action": None}, asked(), False),
        ({"Resource": FUNCTION.upper()}, asked(), False),
        ({"Resource": FUNCTION + ":live"}, asked(), False),
        ({"Resource": FUNCTION}, asked(resource=FUNCTION + ":live"), False),
        ({"Resource": FUNCTION + "*"}, asked(resource=FUNCTION + ":live"), True),
        ({"Resource": "arn:aws:lambda:*:*:function:f?lter"}, asked(), True),
        ({"Resource": None, "NotResource": FUNCTION}, asked(), False),
        ({"Resource": None, "NotResource": FUNCTION + "2"}, asked(), True),
        ({"Principal": None, "NotPrincipal": {"Service": PINPOINT}}, asked(), False),
        ({"Principal": None, "NotPrincipal": {"AWS": ROLE}}, asked(), True),
        ({"Resource": "arn:aws:s3:::shop/${aws:username}/*"}, asked(), False),
        (
            {"Resource": "arn:aws:s3:::shop/${aws:username}/*"},
            asked(resource="arn:aws:s3:::shop/ana/x", aws__username="ana"),
            True,
        ),
        (
            {"Resource": "arn:aws:s3:::shop/${aws:username}/*"},
            asked(resource="arn:aws:s3:::shop/ben/x", aws__username="*"),
            False,
        ),
        ({"Resource": "arn:aws:s3:::a${*}b"}, asked(resource="arn:aws:s3:::axxb"), False),
        ({"Resource": "arn:aws:s3:::a${*}b"}, asked(resource="arn:aws:s3:::a*b"), True),
        (
            {"Resource": "arn:aws:s3:::${aws:username, 'all'}"},
            asked(resource="arn:aws:s3:::all"),
            True,
        ),
    ],
)
def test_actions_resources_and_their_opposites(
    members: dict[str, Any], request_: Request, allowed: bool
) -> None:
    assert evaluate([policy(statement(**members))], request_).allowed is allowed


def test_variables_stay_as_written_before_their_version() -> None:
    given = statement(Resource="arn:aws:s3:::${aws:username}")
    request = asked(resource="arn:aws:s3:::ana", aws__username="ana")
    assert not evaluate([policy(given, version="2008-10-17")], request).allowed


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    # missing keys: positive false, negated true, IfExists true
    ({"StringEquals": {"k": "a"}}, {}, False),
    ({"StringNotEquals": {"k": "a"}}, {}, True),
    ({"StringNotLike": {"k": "a*"}}, {}, True),
    ({"ArnNotLike": {"k": "arn:aws:s3:::*"}}, {}, True),
    ({"NotIpAddress": {"k": "10.0.0.0/8"}}, {}, True),
    ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
    ({"StringEqualsIfExists": {"k": "a"}}, {"k": "b"}, False),
    ({"Null": {"k": "true"}}, {}, True),
    ({"Null": {"k": "true"}}, {"k": "a"}, False),
    ({"Null": {"k": "false"}}, {"k": "a"}, True),
    ({"Null": {"k": False}}, {}, False),
    # keys in any letter case, values exact
    ({"StringEquals": {"AWS:SourceAccount": "1"}}, {"aws:sourceaccount": "1"}, True),
    ({"StringEquals": {"k": "A"}}, {"k": "a"}, False),
    ({"StringEquals": {"k": "a*"}}, {"k": "ab"}, False),
    ({"StringEqualsIgnoreCase": {"k": "A"}}, {"k": "a"}, True),
    ({"StringNotEqualsIgnoreCase": {"k": "A"}}, {"k": "a"}, False),
    ({"StringLike": {"k": "a*c?"}}, {"k": "abbcd"}, True),
    ({"StringLike": {"k": "a*c?"}}, {"k": "abbc"}, False),
    # OR over values, AND over keys and operators; negated: none of the values
    ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, True),
    ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
    ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "c"}, True),
    ({"StringEquals": {"k": "a", "l": "b"}}, {"k": "a"}, False),
    ({"StringEquals": {"k": "a"}, "Bool": {"l": "true"}}, {"k": "a", "l": True}, True),
    ({"StringEquals": {"k": "a"}, "Bool": {"l": "true"}}, {"k": "a", "l": False}, False),
    # ARNs part by part
    ({"ArnLike": {"k": "arn:aws:s3:::b*"}}, {"k": "arn:aws:s3:::bucket"}, True),
    ({"ArnEquals": {"k": "arn:aws:s3:::b*"}}, {"k": "arn:aws:s3:::bucket"}, True),
    ({"ArnLike": {"k": "arn:aws:*:bucket"}}, {"k": "arn:aws:s3:::bucket"}, False),
    ({"ArnLike": {"k": "arn:aws:s3:*:*:bucket"}}, {"k": "arn:aws:s3:::bucket"}, True),
    ({"ArnLike": {"k": "arn:aws:lambda:*:1:f:*"}}, {"k": "arn:aws:lambda:e:1:f:a:b"}, True),
    ({"ArnLike": {"k": "arn:aws:S3:::bucket"}}, {"k": "arn:aws:s3:::bucket"}, False),
    ({"ArnLike": {"k": "arn:aws:s3:::b"}}, {"k": "no arn"}, False),
    ({"ArnNotLike": {"k": "arn:aws:s3:::b"}}, {"k": "arn:aws:s3:::b"}, False),
    ({"ArnNotEquals": {"k": "arn:aws:s3:::b"}}, {"k": "arn:aws:s3:::c"}, True),
    # numbers, dates, booleans, addresses, bytes
    ({"NumericEquals": {"k": "10"}}, {"k": 10.0}, True),
    ({"NumericNotEquals": {"k": "10"}}, {"k": 11}, True),
    ({"NumericLessThan": {"k": "10"}}, {"k": 9}, True),
    ({"NumericLessThan": {"k": "10"}}, {"k": 10}, False),
    ({"NumericLessThanEquals": {"k": "10"}}, {"k": 10}, True),
    ({"NumericGreaterThan": {"k": "10"}}, {"k": 11}, True),
    ({"NumericGreaterThanEquals": {"k": "10"}}, {"k": "9"}, False),
    ({"NumericLessThan": {"k": "ten"}}, {"k": 9}, False),
    ({"DateEquals": {"k": "2026-11-21T00:00:00Z"}}, {"k": 1795219200}, True),
    ({"DateNotEquals": {"k": "2026-11-21T00:00:00Z"}}, {"k": 1795219200}, False),
    ({"DateLessThan": {"k": "2026-11-22T00:00:00Z"}}, {"k": "2026-11-21T00:00:00Z"}, True),
    ({"DateLessThanEquals": {"k": "1795219200"}}, {"k": "2026-11-21T00:00:00Z"}, True),
    ({"DateGreaterThan": {"k": "2026-11-22T00:00:00Z"}}, {"k": "2026-11-21T00:00:00Z"}, False),
    ({"DateGreaterThanEquals": {"k": "2026-11-21"}}, {"k": "2026-11-21T00:00:00Z"}, True),
    ({"Bool": {"k": True}}, {"k": "true"}, True),
    ({"BoolIfExists": {"k": "false"}}, {}, True),
    ({"IpAddress": {"k": "10.0.0.0/8"}}, {"k": "10.2.3.4"}, True),
    ({"IpAddress": {"k": "10.0.0.0/8"}}, {"k": "11.2.3.4"}, False),
    ({"IpAddress": {"k": "2001:db8::/32"}}, {"k": "2001:db8::1"}, True),
    ({"NotIpAddress": {"k": "10.0.0.0/8"}}, {"k": "10.2.3.4"}, False),
    ({"IpAddress": {"k": "10.0.0.0/8"}}, {"k": "here"}, False),
    ({"BinaryEquals": {"k": "aGk="}}, {"k": "aGk="}, True),
    ({"BinaryEquals": {"k": "aGk="}}, {"k": "aGo="}, False),
    # keys with many values
    ({"ForAnyValue:StringEquals": {"k": ["a", "b"]}}, {"k": ["b", "c"]}, True),
    ({"ForAnyValue:StringEquals": {"k": ["a", "b"]}}, {"k": ["c"]}, False),
    ({"ForAnyValue:StringEquals": {"k": "a"}}, {"k": []}, False),
    ({"ForAnyValue:StringEquals": {"k": "a"}}, {}, False),
    ({"ForAnyValue:StringNotEquals": {"k": "a"}}, {"k": ["a", "b"]}, True),
    ({"ForAnyValue:StringNotEquals": {"k": "a"}}, {}, False),
    ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "b"]}, True),
    ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "c"]}, False),
    ({"ForAllValues:StringEquals": {"k": "a"}}, {"k": []}, True),
    ({"ForAllValues:StringEquals": {"k": "a"}}, {}, True),
    ({"ForAllValues:StringNotLike": {"k": "a*"}}, {"k": ["b", "ab"]}, False),
    # variables in values
    ({"StringEquals": {"k": "${l}"}}, {"k": "x", "l": "x"}, True),
    ({"StringEquals": {"k": "${l}"}}, {"k": "x"}, False),
    ({"StringLike": {"k": "${l}"}}, {"k": "xyz", "l": "x*"}, False),
    # what is not understood opens nothing
    ({"StringSounds": {"k": "a"}}, {"k": "a"}, False),
]


@pytest.mark.parametrize(("condition", "context", "holds"), CONDITIONS)
def test_conditions(condition: dict[str, Any], context: dict[str, Any], holds: bool) -> None:
    request = Request(PINPOINT, "lambda:InvokeFunction", FUNCTION, context)
    assert evaluate([policy(statement(Condition=condition))], request).allowed is holds


def test_a_deny_with_an_operator_nobody_knows_denies() -> None:
    deny = statement(Sid="no", Effect="Deny", Condition={"StringSounds": {"k": "a"}})
    assert evaluate([policy(statement(), deny)], asked()).explicit_deny


def test_an_explicit_deny_wins_wherever_it_stands() -> None:
    deny = statement(Sid="no", Effect="Deny")
    decision = evaluate([policy(statement()), policy(deny)], asked())
    assert (decision.allowed, decision.explicit_deny, decision.statement) == (False, True, deny)


def test_nothing_allows_by_itself() -> None:
    decision = evaluate([], asked())
    assert (decision.allowed, decision.explicit_deny, decision.statement) == (False, False, None)


def test_a_single_statement_needs_no_list() -> None:
    assert evaluate([{"Version": "2012-10-17", "Statement": statement()}], asked()).allowed


def test_the_trace_says_what_did_not_fit() -> None:
    near = statement(Sid="other-account", Condition={"StringEquals": {"aws:SourceAccount": "9"}})
    decision = evaluate([policy(near, statement(Sid="s3", Action="s3:*"))], HOOK)
    assert decision.trace == [
        "Allow other-account: condition StringEquals aws:SourceAccount='9' does not hold "
        "('123456789012')",
        "Allow s3: action lambda:InvokeFunction is not the statement's",
    ]


def test_an_identity_policy_speaks_of_its_holder() -> None:
    own = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    assert evaluate([policy(own)], asked(ROLE)).allowed


def test_a_hostile_pattern_costs_no_time() -> None:
    condition = {"StringLike": {"k": "*a" * 30 + "b"}}
    request = Request(PINPOINT, "lambda:InvokeFunction", FUNCTION, {"k": "a" * 5000})
    assert not evaluate([policy(statement(Condition=condition))], request).allowed
