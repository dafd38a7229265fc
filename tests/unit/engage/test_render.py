"""Rendering: variables, escaping, defaults, overrides, and templates that misbehave."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tailorbird.engage.render import Options, Rendered, RenderError, compile_message
from tailorbird.errors import Invalid

ANA: dict[str, Any] = {
    "Id": "ana-mail",
    "Address": "ana@example.com",
    "ChannelType": "EMAIL",
    "CreationDate": "2019-06-30T11:45:25.220Z",
    "EffectiveDate": "2019-08-23T10:54:35.220Z",
    "EndpointStatus": "ACTIVE",
    "OptOut": "NONE",
    "RequestId": "r-1",
    "Attributes": {"Interests": ["cooking"], "CreditScore": [712], "Colors": ["red", "blue"]},
    "Demographic": {
        "AppVersion": "1.2", "Locale": "en_US", "Make": "apple", "Model": "iPhone",
        "ModelVersion": "8", "Platform": "ios", "PlatformVersion": "17", "Timezone": "Europe/Rome",
    },
    "Location": {
        "City": "Rome", "Country": "IT", "Latitude": 41.9, "Longitude": 12.5,
        "PostalCode": "00100", "Region": "Lazio",
    },
    "Metrics": {"visits": 7.0, "spent": 19.5},
    "User": {"UserId": "ana", "UserAttributes": {"FirstName": ["Ana"], "Last Name": ["Rossi"]}},
    "RecommendationItems": ["sku-1", "sku-2"],
    "Recommendations": {"Names": ["Pasta pot", "Apron"]},
}  # fmt: skip

VARIABLES = [
    ("{{Address}}", "ana@example.com"),
    ("{{Id}} {{ChannelType}} {{RequestId}}", "ana-mail EMAIL r-1"),
    ("{{CreationDate}} {{EffectiveDate}}", "2019-06-30T11:45:25.220Z 2019-08-23T10:54:35.220Z"),
    ("{{EndpointStatus}} {{OptOut}}", "ACTIVE NONE"),
    ("{{Attributes.Interests}}", "cooking"),
    ("{{Attributes.Interests.[0]}}", "cooking"),
    ("{{Attributes.Colors.[1]}}", "blue"),
    ("{{Attributes.CreditScore}}", "712"),
    ("{{Metrics.visits}} {{Metrics.spent}}", "7 19.5"),
    ("{{User.UserId}} {{User.UserAttributes.FirstName}}", "ana Ana"),
    ("{{User.UserAttributes.[Last Name].[0]}}", "Rossi"),
    ("{{RecommendationItems}} {{RecommendationItems.[1]}}", "sku-1,sku-2 sku-2"),
    ("{{Recommendations.Names.[0]}}", "Pasta pot"),
    ("{{#each Recommendations.Names}}<{{this}}>{{/each}}", "<Pasta pot><Apron>"),
    ("[{{Attributes.Nothing}}{{Nothing.at.all}}{{User.UserAttributes.x.[0]}}]", "[]"),
    ("{{Attributes.constructor}}{{__proto__.x}}{{User.toString}}", ""),
    *(
        (f"{{{{Demographic.{name}}}}}", value)
        for name, value in ANA["Demographic"].items()
    ),
    *(
        (f"{{{{Location.{name}}}}}", str(value))
        for name, value in ANA["Location"].items()
    ),
]  # fmt: skip


@pytest.mark.parametrize(("template", "printed"), VARIABLES)
def test_the_variable_prints(template: str, printed: str) -> None:
    assert texts({"Body": template}, ANA) == [printed]


@pytest.mark.parametrize(
    "message",
    [
        {"Title": "T {{Id}}", "HtmlBody": "<b>{{Id}}</b>", "Body": "B {{Id}}"},
        {"Subject": "T {{Id}}", "HtmlPart": "<b>{{Id}}</b>", "TextPart": "B {{Id}}"},
        {
            "SimpleEmail": {
                "Subject": {"Data": "T {{Id}}"},
                "HtmlPart": {"Data": "<b>{{Id}}</b>"},
                "TextPart": {"Data": "B {{Id}}"},
            }
        },
    ],
)
def test_campaign_template_and_direct_message_have_the_same_parts(message: dict[str, Any]) -> None:
    (rendered,) = compile_message(message).render([ANA])
    assert rendered == Rendered(subject="T ana-mail", html="<b>ana-mail</b>", text="B ana-mail")
    assert (rendered.title, rendered.body) == ("T ana-mail", "B ana-mail")


def test_headers_are_rendered() -> None:
    message = {"Body": "x", "Headers": [{"Name": "X-Person", "Value": "{{User.UserId}}"}]}
    (rendered,) = compile_message(message).render([ANA])
    assert isinstance(rendered, Rendered)
    assert rendered.headers == {"X-Person": "ana"}


def test_html_is_escaped_in_html_and_only_there() -> None:
    hostile = {"Attributes": {"Name": ["<script>alert('x')</script>&\"="]}}
    message = {"HtmlBody": "{{Attributes.Name}}", "Body": "{{Attributes.Name}}"}
    (rendered,) = compile_message(message).render([hostile])
    assert rendered == Rendered(
        html="&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;&#x3D;",
        text="<script>alert('x')</script>&\"=",
    )


def test_texts_can_be_escaped_as_well() -> None:
    compiled = compile_message({"Body": "{{Id}}"}, options=Options(escape_text=True))
    assert compiled.render([{"Id": "<"}]) == [Rendered(text="&lt;")]


def test_three_braces_do_not_escape() -> None:
    (rendered,) = compile_message({"HtmlBody": "{{{Attributes.Name}}}"}).render(
        [{"Attributes": {"Name": ["<b>x</b>"]}}]
    )
    assert rendered == Rendered(html="<b>x</b>")


DEFAULTS = {
    "User.UserAttributes.FirstName": "there",
    "User.UserAttributes.[Last Name]": "unknown",
    "Location.City": "your city",
    "Attributes.Interests": "everything",
}


@pytest.mark.parametrize(
    ("template", "endpoint", "printed"),
    [
        ("Hi {{User.UserAttributes.FirstName}}", {}, "Hi there"),
        ("Hi {{User.UserAttributes.FirstName.[0]}}", {"User": {}}, "Hi there"),
        ("{{upper User.UserAttributes.[Last Name].[0]}}", {"User": None}, "UNKNOWN"),
        ("{{Location.City}}", {"Location": {"Country": "IT"}}, "your city"),
        ("{{Location.City}} {{Attributes.Interests}}", ANA, "Rome cooking"),
        ("{{Attributes.Interests}}", {"Attributes": {"Interests": []}}, "everything"),
        ("[{{Attributes.Interests}}]", {"Attributes": {"Interests": [""]}}, "[]"),
    ],
)
def test_defaults_stand_in_for_what_is_missing(
    template: str, endpoint: dict[str, Any], printed: str
) -> None:
    (rendered,) = compile_message({"Body": template}, defaults=DEFAULTS).render([endpoint])
    assert rendered == Rendered(text=printed)


def test_substitutions_win_over_the_endpoint() -> None:
    compiled = compile_message({"Body": "{{Attributes.Interests}} {{code}}"}, defaults=DEFAULTS)
    given = [{"Attributes.Interests": ["jazz"], "code": ["1234"]}, {}]
    assert compiled.render([ANA, ANA], substitutions=given) == [
        Rendered(text="jazz 1234"),
        Rendered(text="cooking "),
    ]


def test_a_default_cannot_reach_the_prototype_of_all_objects() -> None:
    compiled = compile_message({"Body": "{{Id}}{{x}}"}, defaults={"__proto__.x": "1", "a.b": "2"})
    assert compiled.render([{"Id": "i"}]) == [Rendered(text="i")]


@pytest.mark.parametrize(
    ("channel", "rendered"),
    [
        *(
            (channel, Rendered(subject="Mine", text="My own"))
            for channel in ("SMS", "GCM", "APNS", "APNS_SANDBOX", "APNS_VOIP", "ADM", "BAIDU")
        ),
        ("EMAIL", Rendered(subject="Ours", text="The same for all")),
    ],
)
def test_overrides_of_a_hook_count_on_push_and_sms_but_not_in_email(
    channel: str, rendered: Rendered
) -> None:
    endpoint = {"ChannelType": channel, "TitleOverride": "Mine", "BodyOverride": "My own"}
    compiled = compile_message({"Title": "Ours", "Body": "The same for all"})
    assert compiled.render([endpoint]) == [rendered]


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("first\n{{#if x}} second", "Body, line 2"),
        ("{{", "Body, line 1"),
        ("a\nb {{#if x}}{{/each}}", "Body, line 2, column 6: if doesn't match each"),
        ("a\n  {{shout Id}}", 'Body, line 2, column 3: there is no helper "shout"'),
        ("{{upper (shout Id)}}", 'Body, line 1, column 9: there is no helper "shout"'),
        ("{{eq Id}}", "Body, line 1, column 1: eq has 1 values; it takes 2"),
        ("{{upper}}", "Body, line 1, column 1: upper has 0 values; it takes 1"),
        ("{{> footer}}", 'Body, line 1, column 1: there is no inline partial "footer"'),
        ("{{now tz=Mars/Olympus}}", '"Mars/Olympus" is not a time zone'),
    ],
)
def test_a_template_that_does_not_compile_says_where(template: str, place: str) -> None:
    with pytest.raises(Invalid) as refusal:
        compile_message({"Title": "ok {{Id}}", "Body": template})
    assert place in refusal.value.message


def test_one_poisonous_endpoint_spoils_only_its_own_message() -> None:
    poison = {"Attributes": {"Price": ["many"]}}
    good = {"Attributes": {"Price": ["2"]}}
    results = compile_message({"Body": "{{add Attributes.Price 1}}"}).render([good, poison, good])
    assert results[0] == results[2] == Rendered(text="3")
    assert results[1] == RenderError("Body", 'add: ["many"] is not a number')
    assert isinstance(results[1], RenderError)
    assert results[1].message == 'Body: add: ["many"] is not a number'


@pytest.mark.parametrize(
    "endpoint",
    [
        {"Attributes": "not a map"},
        {"Attributes": {"x": {"nested": ["deep"]}}},
        {"Attributes": None, "User": []},
        {"User": {"UserAttributes": {"FirstName": [None]}}},
        {"Attributes": {"__proto__": ["x"], "constructor": ["y"]}},
        {"Attributes": {"nul": ["\x00\ud83d"]}},
        {"Metrics": {"x": float("nan")}},
        {"Attributes": {"x": [object()]}},
    ],
)
def test_any_values_end_in_a_message_or_an_error(endpoint: dict[str, Any]) -> None:
    compiled = compile_message(
        {"Body": "{{Attributes.x}}{{Attributes.nul}}{{upper User.UserAttributes.FirstName.[0]}}"},
        defaults=DEFAULTS,
    )
    first, second = compiled.render([endpoint, ANA])
    assert isinstance(first, Rendered | RenderError)
    assert second == Rendered(text="ANA")


ENDLESS = '{{#*inline "a"}}{{> a}}{{> a}}{{/inline}}{{> a}}'
EXPENSIVE = '{{#each Attributes.l}}{{#each ../Attributes.l}}{{sha512 "x"}}{{/each}}{{/each}}'


def test_a_template_without_end_is_stopped() -> None:
    (result,) = compile_message({"Body": ENDLESS}).render([ANA])
    assert isinstance(result, RenderError)


def test_a_slow_template_is_stopped_and_the_next_one_works() -> None:
    endpoint = {"Attributes": {"l": list(range(1000))}}
    compiled = compile_message({"Body": EXPENSIVE}, options=Options(each_limit=0))
    started = time.monotonic()
    results = compiled.render([endpoint] * 50)
    assert all(isinstance(result, RenderError) for result in results)
    assert "takes longer than 0.3 s" in results[0].message  # type: ignore[union-attr]
    assert "not tried" in results[49].message  # type: ignore[union-attr]
    assert time.monotonic() - started < 20
    assert texts({"Body": "Hi {{Id}}"}, ANA) == ["Hi ana-mail"]


def test_a_slow_endpoint_does_not_take_its_batch_with_it() -> None:
    slow = {"Id": "slow", "Attributes": {"l": list(range(1000))}}
    quick = {"Id": "quick", "Attributes": {"l": [1]}}
    compiled = compile_message({"Body": EXPENSIVE + "{{Id}}"}, options=Options(each_limit=0))
    results = compiled.render([quick, slow, quick])
    assert [type(result) for result in results] == [Rendered, RenderError, Rendered]


def test_a_template_that_eats_memory_is_stopped() -> None:
    greedy = '{{#each Attributes.l}}{{#each ../Attributes.l}}{{ljust "x" 10000}}{{/each}}{{/each}}'
    compiled = compile_message({"Body": greedy}, options=Options(each_limit=0))
    (result,) = compiled.render([{"Attributes": {"l": list(range(100))}}])
    assert isinstance(result, RenderError)
    assert texts({"Body": "Hi {{Id}}"}, ANA) == ["Hi ana-mail"]


def test_many_large_templates_do_not_crowd_each_other_out() -> None:
    for n in range(12):
        body = f"{n}" + "x" * 100_000 + "{{Id}}, " * 300
        (result,) = compile_message({"HtmlBody": body}).render([{"Id": "x"}])
        assert isinstance(result, Rendered)
        assert result.html.startswith(f"{n}x")


def test_two_thousand_variables_compile_in_time() -> None:
    (result,) = compile_message({"Body": "{{Id}} and {{Address}}, " * 1000}).render([ANA])
    assert isinstance(result, Rendered)


def test_a_template_of_too_many_variables_is_refused() -> None:
    with pytest.raises(Invalid, match=r"needs more than 30 MB|takes longer than 2"):
        compile_message({"Body": "{{Id}} and some more words, " * 20_000})
    assert texts({"Body": "Hi {{Id}}"}, ANA) == ["Hi ana-mail"]


def test_text_without_variables_is_left_alone() -> None:
    message = {"Title": "50 % off {today}", "HtmlBody": "<style>a{b:c}</style>"}
    assert compile_message(message).render([ANA]) == [
        Rendered(subject="50 % off {today}", html="<style>a{b:c}</style>")
    ]


def test_long_templates_and_many_endpoints_stay_in_order() -> None:
    compiled = compile_message({"HtmlBody": "x" * 300_000 + "{{Id}}"})
    results = compiled.render([{"Id": str(n)} for n in range(120)])
    assert [result.html[300_000:] for result in results if isinstance(result, Rendered)] == [
        str(n) for n in range(120)
    ]


def test_many_threads_render_at_once() -> None:
    compiled = compile_message({"Body": "{{Id}} {{now 'H' tz=Europe/Rome}}"})
    found: list[list[str]] = []

    def work() -> None:
        results = compiled.render([{"Id": str(n)} for n in range(100)], now=0.0)
        found.append([r.text for r in results if isinstance(r, Rendered)])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[f"{n} 1" for n in range(100)]] * 6


def texts(message: dict[str, Any], *endpoints: dict[str, Any]) -> list[str]:
    results = compile_message(message).render(list(endpoints))
    return [r.text if isinstance(r, Rendered) else r.message for r in results]
