"""Every helper of Pinpoint's user guide ("Using message template helpers"), with its examples.

Each row: template, endpoint values, what is printed. Rows marked with a comment are the places
where the page's example and its own words, or the calendar, disagree.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tailorbird.engage.render import Options, Rendered, RenderError, compile_message

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
NOON = 1600513200.0  # 2020-09-19T11:00:00Z, a Saturday

PERSON: dict[str, Any] = {
    "Location": {"City": "Los Angeles", "Country": "US"},
    "Attributes": {
        "description": ["my first post"],
        "favorite_colors": ["blue", "red", "green"],
        "IsUserSubscribed": ["true"],
        "Unsubscribed": ["false"],
        "Points": [1200],
        "Zone": ["Asia/Kolkata"],
        "Many": [str(n) for n in range(20)],
        "None": [],
    },
    "Home": {"Zone": "Asia/Tokyo"},
    "Metrics": {"score": 7.25},
    "User": {
        "UserAttributes": {
            "FirstName": ["Jane"],
            "LastName": ["Alejandro"],
            "Last Name": ["Santos"],
            "FavoriteColors": ["red", "blue", "yellow"],
            "UserAge": ["22"],
            "Child": ["9"],
            "StartDate": ["09/19/2020"],
            "interests": ["<h1>Art</h1>"],
        }
    },
}

CONDITIONS = [
    ("{{#each User.UserAttributes.FavoriteColors}}{{@index}}{{this}} {{else}}none{{/each}}",
     "0red 1blue 2yellow "),
    ("{{#each Attributes.None}}{{this}}{{else}}You have no favorite colors.{{/each}}",
     "You have no favorite colors."),
    ("{{#each Attributes.Many}}{{this}},{{/each}}", "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,"),
    ("{{#if User.UserAttributes.FirstName.[0]}}Hello {{User.UserAttributes.FirstName.[0]}},"
     "{{else}}Hello,{{/if}}", "Hello Jane,"),
    ("{{#if User.UserAttributes.Nickname.[0]}}Hi{{else}}Hello,{{/if}}", "Hello,"),
    ("{{#unless Attributes.None}}empty{{/unless}}", "empty"),
    ("{{#with Location}}{{City}}{{/with}}", "Los Angeles"),
    ('{{#and (eq Location.City "Los Angeles") (eq Location.Country "US")}}x{{else}}y{{/and}}',
     "x"),
    ('{{#and (eq Location.City "Rome") (eq Location.Country "US")}}x{{else}}y{{/and}}',
     "y"),
    ("{{and Location.City Location.Country Metrics.score yes='y' no='n'}}", "y"),
    ("{{and Location.City Location.Region yes='y' no='n'}}", "n"),
    ('{{#or (eq Location.City "Los Angeles") (eq Location.City "Seattle")}}west{{else}}no{{/or}}',
     "west"),
    ("{{or Location.Region Location.PostalCode yes='y' no='n'}}", "n"),
    ('{{#eq User.UserAttributes.FavoriteColors.[0] "red"}}red{{else}}other{{/eq}}', "red"),
    ("{{eq Location.City Location.Country yes='y' no='n'}}", "n"),
    ('{{eq User.UserAttributes.UserAge.[0] "22.0"}}', "true"),
    ('{{#neq User.UserAttributes.FavoriteColors.[0] "red"}}not{{else}}red{{/neq}}', "red"),
    ('{{#gt User.UserAttributes.UserAge.[0] "17"}}old{{else}}young{{/gt}}', "old"),
    ('{{#gt User.UserAttributes.Child.[0] "17"}}old{{else}}young{{/gt}}', "young"),
    ('{{#gte User.UserAttributes.UserAge.[0] "22"}}yes{{else}}no{{/gte}}', "yes"),
    ('{{#lt User.UserAttributes.Child.[0] "18"}}young{{else}}old{{/lt}}', "young"),
    ('{{#lte User.UserAttributes.UserAge.[0] "17"}}young{{else}}old{{/lte}}', "old"),
    ('{{gt "pear" "apple"}}', "true"),
    ('{{gt User.UserAttributes.Nothing.[0] "17"}}', "false"),
    ('{{lt User.UserAttributes.Nothing.[0] "17"}}', "false"),
    ('{{#not (eq User.UserAttributes.FavoriteColors.[0] "red")}}no red{{else}}red{{/not}}', "red"),
    ('{{not (eq User.UserAttributes.FavoriteColors.[0] "red")}}', "false"),
    ("{{not Location.Region yes='y' no='n'}}", "y"),
]  # fmt: skip

STRINGS = [
    ("{{abbreviate User.UserAttributes.LastName.[0] 6}}", "Ale..."),
    ("{{abbreviate Location.Country 6}}", "US"),
    ("{{capitalize Attributes.description.[0]}}", "My First Post"),
    ('{{capitalize "jANE DOE" fully=true}}', "Jane Doe"),
    ("{{capitalizeFirst Attributes.description.[0]}}", "My first post"),
    ('{{capitalizeFirst (lower "JANE")}}', "Jane"),
    ("[{{center Location.City size=19}}]", "[    Los Angeles    ]"),
    ('{{center "Handlebars.java" size=20 pad="*"}}', "**Handlebars.java***"),
    ('{{cut Location.City "e"}}', "Los Angls"),
    ("{{cut Location.City}}", "LosAngeles"),
    ("Thank you for your purchase of {{inflect 3 apple apples includeCount=false}}.",
     "Thank you for your purchase of apples."),
    ("Thank you for your purchase of {{inflect 3 apple apples includeCount=true}}.",
     "Thank you for your purchase of 3 apples."),
    ('{{inflect 1 "apple" "apples"}}', "apple"),
    ('{{inflect Attributes.Points "point" "points" includeCount=true}}', "1200 points"),
    ('{{join Attributes.favorite_colors ", "}}', "blue, red, green"),
    ('{{join Attributes.favorite_colors " // " prefix="<" suffix=">"}}', "<blue // red // green>"),
    ('{{join "6" 7 Metrics.score "-"}}', "6-7-7.25"),
    ('{{join Attributes.None ", " prefix="<"}}', ""),
    ("[{{ljust Location.City 15}}]", "[Los Angeles    ]"),
    ('{{ljust "Handlebars.java" size=17 pad="+"}}', "Handlebars.java++"),
    ("[{{rjust Location.City 15}}]", "[    Los Angeles]"),
    ("{{lower User.UserAttributes.[Last Name].[0]}}", "santos"),
    ("{{upper User.UserAttributes.[Last Name].[0]}}", "SANTOS"),
    ("Congratulations on your {{ordinalize User.UserAttributes.UserAge.[0]}} birthday!",
     "Congratulations on your 22nd birthday!"),
    ("{{ordinalize 1}} {{ordinalize 3}} {{ordinalize 11}} {{ordinalize 112}} {{ordinalize 121}}",
     "1st 3rd 11th 112th 121st"),
    ('{{replace Location.City " " "_"}}', "Los_Angeles"),
    ('{{replace "a.b.c" "." "$&"}}', "a$&b$&c"),
    ("{{slugify Location.City}}", "los-angeles"),
    ('{{slugify "  Joel is a slug!  "}}', "joel-is-a-slug"),
    ("{{stripTags User.UserAttributes.interests.[0]}}", "Art"),
    ("{{substring Location.City 4 9}}", "Angel"),
    ("{{substring Location.City 4}}", "Angeles"),
    ("{{yesno Attributes.IsUserSubscribed}}", "yes"),
    ('{{yesno Attributes.Unsubscribed no="nop"}}', "nop"),
    ("{{yesno Attributes.Unknown}}", "maybe"),
    ('{{yesno Attributes.Unknown maybe="perhaps"}}', "perhaps"),
    ("[{{upper Attributes.Unknown}}{{abbreviate Attributes.None 6}}]", "[]"),
]  # fmt: skip

MATHS = [
    ("{{add 5 2.3}}", "7.3"),
    ("{{add 0.1 0.2}}", "0.3"),
    ("{{subtract 5 2.3}}", "2.7"),
    ("{{multiply 5 2.3}}", "11.5"),
    ("{{divide 5 2.3}}", "2.17391304"),
    ("{{modulo 7 2}}", "1"),
    ("You spent an average of {{round 19.21}} minutes", "You spent an average of 19 minutes"),
    ("{{floor 5.23}}", "5"),
    ("{{ceiling 5.23}}", "6"),
    ('{{round (multiply Metrics.score "2")}}', "15"),
    ("[{{add Metrics.unknown 1}}]", "[]"),
]

DIGESTS = [
    # The page shows this digest for "Hello World"; it is the one of "Hello world".
    ('{{md5 "Hello world"}}', "3e25960a79dbc69b674cd4ec67a72c62"),
    ('{{md5 "Hello World"}}', "b10a8db164e0754105b7a99be72e3fe5"),
    ('{{sha256 "Hello World"}}',
     "a591a6d40bf420404a011733cfb7b190d62c65bf0bcda32b57b277d9ad9f146e"),
    ('{{sha512 "Hello World"}}',
     "2c74fd17edafd80e8447b0d46741ee243b7eb74dd2149a0ab1b9246fb30382f2"
     "7e853d8585719e0e67cbda0daa8f51671064615d645ae27acb15bfb1447f459b"),
    # Likewise: the page's Base64 is of "Hello world", and its decode64 example calls encode64.
    ('{{encode64 "Hello world"}}', "SGVsbG8gd29ybGQ="),
    ('{{encode64 "Hello World"}}', "SGVsbG8gV29ybGQ="),
    ('{{decode64 "SGVsbG8gd29ybGQ="}}', "Hello world"),
    ('{{decode64 (encode64 "Größe 😀")}}', "Größe 😀"),
]  # fmt: skip

DATES = [
    # The page prints "Tuesday"; 2020-09-19 was a Saturday.
    ("We can meet with you any time on {{dateFormat User.UserAttributes.StartDate.[0] "
     'inputFormat="MM/dd/yyyy" outputFormat="full" tz=America/Los_Angeles}}.',
     "We can meet with you any time on Saturday, September 19, 2020."),
    ('{{dateFormat "09/19/2020" inputFormat="MM/dd/yyyy" outputFormat="long"}}',
     "September 19, 2020"),
    # The page writes "Sept"; the English of Java's SimpleDateFormat says "Sep".
    ('{{dateFormat "09/19/2020" inputFormat="MM/dd/yyyy"}}', "Sep 19, 2020"),
    ('{{dateFormat "09/19/2020" inputFormat="MM/dd/yyyy" outputFormat="short"}}', "9/19/20"),
    ('{{dateFormat "2020-09-19T23:30:00Z" outputFormat="yyyy-MM-dd\'T\'HH:mm z" tz=Asia/Tokyo}}',
     "2020-09-20T08:30 JST"),
    ('{{dateFormat "2020-03-08T09:59:59Z" outputFormat="HH:mm:ss XXX" tz=America/Los_Angeles}}',
     "01:59:59 -08:00"),
    ('{{dateFormat "2020-03-08T10:00:00Z" outputFormat="HH:mm:ss XXX" tz=America/Los_Angeles}}',
     "03:00:00 -07:00"),
    ('{{dateFormat "2020-09-19T11:00:00Z" outputFormat="H:mm" tz=Attributes.Zone}}', "16:30"),
    ('{{dateFormat "2020-09-19T11:00:00Z" outputFormat="H" tz=Etc/GMT+8}}', "3"),
    ('{{dateFormat "19SEP20 07:05pm" inputFormat="ddMMMyy hh:mma" '
     'outputFormat="EEE, d MMM yyyy h:mm a"}}',
     "Sat, 19 Sep 2020 7:05 PM"),
    ('{{dateFormat "20200919" inputFormat="yyyyMMdd" outputFormat="D w u"}}', "263 38 6"),
    ("{{dateFormat \"2020-09-19\" outputFormat=\"h 'o''clock'\"}}", "12 o'clock"),
    ('{{dateFormat "1600513200000" outputFormat="yyyy-MM-dd HH:mm:ss.SSS"}}',
     "2020-09-19 11:00:00.000"),
    ("[{{dateFormat Attributes.Unknown}}]", "[]"),
    ('{{dateFormat "2020-09-19T11:00:00Z" outputFormat="H" tz=Japan}}', "20"),
    ('{{#with Home}}{{dateFormat "2020-09-19T11:00:00Z" outputFormat="H" tz=Zone}}{{/with}}', "20"),
    ('{{now "medium" tz=America/Los_Angeles}}', "Sep 19, 2020"),
    ("{{now}}", "Sep 19, 2020"),
    ('{{now "full"}}', "Saturday, September 19, 2020"),
    ('{{now "yyyy-MM-dd HH:mm" tz=America/Los_Angeles}}', "2020-09-19 04:00"),
]  # fmt: skip

PARTIALS = [
    ('{{#* inline "fullName"}}{{User.UserAttributes.FirstName.[0]}}'
     "{{#if User.UserAttributes.LastName.[0]}} {{User.UserAttributes.LastName.[0]}}{{/if}}"
     "{{/inline}}Hello {{> fullName}}", "Hello Jane Alejandro"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("template", "printed"), [*CONDITIONS, *STRINGS, *MATHS, *DIGESTS, *DATES, *PARTIALS]
)
def test_the_helper_prints(template: str, printed: str) -> None:
    assert one(template) == Rendered(text=printed)


@pytest.mark.parametrize(
    ("template", "part_of_the_reason"),
    [
        ("{{abbreviate Location.City 3}}", "abbreviate: the length is 3; at least 4"),
        ("{{substring Location.City -1}}", "substring: the start is -1"),
        ("{{ljust Location.City}}", "ljust: the size is undefined"),
        ("{{ljust Location.City 20000}}", "ljust: the size is above 10000"),
        ("{{add Location.City 1}}", 'add: "Los Angeles" is not a number'),
        ("{{divide 5 0}}", "divide: 5 and 0 give no number"),
        ("{{ordinalize 1.5}}", 'ordinalize: "1.5" is not a whole number'),
        ("{{yesno Location.City}}", "yesno: "),
        ('{{decode64 "*"}}', "decode64: "),
        ('{{dateFormat "2020-13-45" inputFormat="yyyy-MM-dd"}}',
         'dateFormat: "2020-13-45" is not a date of the form yyyy-MM-dd'),
        ('{{dateFormat "soon"}}', 'dateFormat: "soon" is not a date in ISO 8601'),
        ("{{now tz=Location.City}}", 'now: "Los Angeles" is not a time zone'),
        ('{{now "yyyy QQQ"}}', "now: the date pattern letter Q is not supported"),
    ],
)  # fmt: skip
def test_a_helper_that_cannot_says_why(template: str, part_of_the_reason: str) -> None:
    error = one(template)
    assert isinstance(error, RenderError)
    assert part_of_the_reason in error.message


def test_each_uuid_is_another_one() -> None:
    compiled = compile_message({"Body": "{{uuid}} {{uuid}}"})
    texts = [r.text for r in compiled.render([{}, {}]) if isinstance(r, Rendered)]
    ids = " ".join(texts).split()
    assert len(set(ids)) == 4
    assert all(UUID4.fullmatch(each) for each in ids)


def test_the_limit_of_each_can_be_lifted() -> None:
    compiled = compile_message(
        {"Body": "{{#each Attributes.Many}}x{{/each}}"}, options=Options(each_limit=0)
    )
    assert compiled.render([PERSON]) == [Rendered(text="x" * 20)]


def one(template: str) -> Rendered | RenderError:
    return compile_message({"Body": template}).render([PERSON], now=NOON)[0]
