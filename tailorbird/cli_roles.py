"""Commands for roles and policies: who may take a role on, what it allows, and why or why not."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from tailorbird.errors import Invalid
from tailorbird.terminal import Data, Url, as_text, asking, parse_json, remote, show

REFUSED = 1
SEGMENT_ROOT = "arn:aws:iam::595280932656:root"  # who takes roles on for Segment's destinations
SERVICES = ("lambda", "personalize", "pinpoint", "glue", "s3")
VERSION = "2012-10-17"

role = App(name="role", help="Roles: who may take them on, and what they may do.")

External = Annotated[
    tuple[str, ...],
    Parameter(name="--external-id", help="External id the trusted must bring; several times: any."),
]


@role.command(name="create")
def role_create(
    name: str,
    *,
    trust: tuple[str, ...] = (),
    external_id: External = (),
    description: str = "",
    data: Data = None,
    url: Url = None,
) -> None:
    """Make a role that somebody may take on; it may do nothing yet.

    Args:
        name: Name of the role.
        trust: Who may take it on: lambda (functions), segment (Segment's destinations),
            personalize, pinpoint, glue, account, an account id, an ARN or a JSON file with the
            whole trust policy. Give it several times for several.
        description: What the role is for.
    """
    if not trust:
        raise Invalid("--trust says who may take the role on: lambda, segment, an account id ...")
    document = trust_document(trust, external_id)
    server = remote(data, url)
    more = {"Description": description} if description else {}
    with asking(server):
        client = server.client("iam")
        document = filled(document, client, server)
        made = client.create_role(RoleName=name, AssumeRolePolicyDocument=document, **more)
    show([{"name": made["Role"]["RoleName"], "arn": made["Role"]["Arn"]}], ())


@role.command(name="list")
def role_list(*, data: Data = None, url: Url = None) -> None:
    """List the roles with who may take them on and how many policies they have."""
    server = remote(data, url)
    with asking(server):
        client = server.client("iam")
        pages = client.get_paginator("list_roles").paginate()
        rows = [summary(client, found) for page in pages for found in page["Roles"]]
    show(rows, ("name", "trusts", "policies", "arn"))


@role.command(name="show")
def role_show(name: str, *, data: Data = None, url: Url = None) -> None:
    """Print a role's trust policy and every policy it has, as JSON.

    Args:
        name: Name of the role.
    """
    server = remote(data, url)
    with asking(server):
        client = server.client("iam")
        found = client.get_role(RoleName=name)["Role"]
        shown = {
            "name": found["RoleName"],
            "arn": found["Arn"],
            "trust": found["AssumeRolePolicyDocument"],
            "inline": inline(client, name),
            "attached": attached(client, name),
        }
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")


@role.command(name="trust")
def role_trust(
    name: str,
    *who: str,
    external_id: External = (),
    data: Data = None,
    url: Url = None,
) -> None:
    """Replace who may take a role on.

    Args:
        name: Name of the role.
        who: As in `role create --trust`.
    """
    if not who:
        raise Invalid("Say who may take the role on: lambda, segment, an account id, an ARN ...")
    document = trust_document(who, external_id)
    server = remote(data, url)
    with asking(server):
        client = server.client("iam")
        document = filled(document, client, server)
        client.update_assume_role_policy(RoleName=name, PolicyDocument=document)
    show([{"name": name, "trusts": ", ".join(trusted(json.loads(document)))}], ())


@role.command(name="allow")
def role_allow(
    name: str,
    *actions: str,
    on: tuple[str, ...] = ("*",),
    policy: str = "",
    file: Path | None = None,
    deny: bool = False,
    data: Data = None,
    url: Url = None,
) -> None:
    """Let a role do something: one more inline policy.

    Args:
        name: Name of the role.
        actions: Actions as IAM spells them, with wildcards: personalize:PutEvents, s3:Get*.
        on: ARN of a resource, with wildcards; several times for several. Without it on all.
        policy: Name of the policy; one of that name is replaced. Without it a name from the action.
        file: A JSON file with the whole policy instead of actions.
        deny: Forbid it instead; a deny wins over everything that allows.
    """
    if bool(actions) == (file is not None):
        raise Invalid("Either name the actions, or give the whole policy with --file")
    document = read_document(file) if file else own_document(actions, on, deny)
    server = remote(data, url)
    with asking(server):
        client = server.client("iam")
        chosen = policy or free_name(client, name, file.stem if file else actions[0])
        client.put_role_policy(RoleName=name, PolicyName=chosen, PolicyDocument=document)
    show([{"name": name, "policy": chosen}], ())


@role.command(name="attach")
def role_attach(name: str, policy: str, *, data: Data = None, url: Url = None) -> None:
    """Give a role a managed policy.

    Args:
        name: Name of the role.
        policy: ARN or name of the policy: one of your own, or AWS's, for example
            AmazonPersonalizeFullAccess.
    """
    server = remote(data, url)
    with asking(server):
        client = server.client("iam")
        arn = policy if policy.startswith("arn:") else arn_of_policy(client, policy)
        client.attach_role_policy(RoleName=name, PolicyArn=arn)
    show([{"name": name, "policy": arn}], ())


@role.command(name="delete")
def role_delete(name: str, *, data: Data = None, url: Url = None) -> None:
    """Take a role's policies away and delete it; its sessions may nothing from then on.

    Args:
        name: Name of the role.
    """
    server = remote(data, url)
    with asking(server):
        client = server.client("iam")
        for policy in inline_names(client, name):
            client.delete_role_policy(RoleName=name, PolicyName=policy)
        for arn in attached_arns(client, name):
            client.detach_role_policy(RoleName=name, PolicyArn=arn)
        client.delete_role(RoleName=name)
    show([{"deleted": name}], ())


def explain(
    action: str,
    resource: str = "*",
    *,
    principal: Annotated[str, Parameter(name="--as")],
    context: tuple[str, ...] = (),
    data: Data = None,
    url: Url = None,
) -> None:
    """Say whether somebody may do something, which statement decides, and what would allow it.

    Ends with status 1 when it is not allowed.

    Args:
        action: Action as IAM spells it, for example personalize:GetRecommendations.
        resource: ARN of what it is done to.
        principal: Name or ARN of a role, ARN of a session, or a service such as
            pinpoint.us-east-1.amazonaws.com.
        context: A condition key of the request as key=value; several times for several, the same
            key again for a list.
    """
    body = {"as": principal, "action": action, "resource": resource, "context": keys(context)}
    answer = remote(data, url).call("POST", "/_/explain", body)
    if sys.stdout.isatty():
        told(answer)
    else:
        sys.stdout.write(json.dumps(answer) + "\n")
    if not answer["allowed"]:
        sys.exit(REFUSED)


def told(answer: dict[str, Any]) -> None:
    """The answer for a person."""
    by = f" by {answer['policy']}" if answer["policy"] else ""
    lines = [f"{answer['decision']}{by}"]
    if answer["statement"]:
        lines.append(json.dumps(answer["statement"], indent=2))
    lines += answer["trace"]
    if answer.get("toAllow"):
        lines.append(f"To allow it: {answer['toAllow']}")
    sys.stdout.write("\n".join(lines) + "\n")


def keys(given: tuple[str, ...]) -> dict[str, Any]:
    """`key=value` texts; a key that comes again makes a list."""
    found: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise Invalid(f"--context {text!r} is not key=value, as aws:SourceAccount=123456789012")
        if key in found:
            before = found[key] if isinstance(found[key], list) else [found[key]]
            found[key] = [*before, value]
        else:
            found[key] = value
    return found


def trust_document(who: tuple[str, ...], external_ids: tuple[str, ...]) -> str:
    """The trust policy that lets these take a role on; `account` is filled in later."""
    if len(who) == 1 and who[0].endswith(".json"):
        return read_document(Path(who[0]))
    aws = [text for text in map(aws_principal, who) if text]
    services = [text for text in map(service_principal, who) if text]
    unknown = [text for text in who if not (aws_principal(text) or service_principal(text))]
    if unknown:
        raise Invalid(
            f"{unknown[0]} is not who can be trusted; lambda, segment, personalize, pinpoint, "
            "account, an account id, an ARN or a .json file are"
        )
    if external_ids and not aws:
        raise Invalid(f"{', '.join(services)} brings no external id; leave --external-id out")
    if "segment" in who and not external_ids:
        sys.stderr.write(
            "tailorbird: without --external-id every workspace of Segment may take this role on;"
            " its id (here the source's) belongs there\n"
        )
    parts: list[tuple[dict[str, list[str]], bool]] = [({"AWS": aws, "Service": services}, False)]
    if external_ids:  # services bring no external id
        parts = [({"AWS": aws}, True), ({"Service": services}, False)]
    statements = [_trusting(members, external_ids if named else ()) for members, named in parts]
    return json.dumps({"Version": VERSION, "Statement": [each for each in statements if each]})


def _trusting(members: Mapping[str, list[str]], external_ids: tuple[str, ...]) -> dict[str, Any]:
    """The statement that trusts these; nothing when there are none."""
    principal = {kind: one(found) for kind, found in members.items() if found}
    if not principal:
        return {}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    if not external_ids:
        return statement
    condition = {"StringEquals": {"sts:ExternalId": one(list(external_ids))}}
    return {**statement, "Condition": condition}


ACCOUNT = "account"


def filled(document: str, client: Any, server: Any) -> str:
    """The document with the account's root where it says `account`."""
    mark = json.dumps(ACCOUNT)
    if mark not in document:
        return document
    account = server.client("sts").get_caller_identity()["Account"]
    return document.replace(mark, json.dumps(f"arn:aws:iam::{account}:root"))


def aws_principal(who: str) -> str | None:
    if who == "segment":
        return SEGMENT_ROOT
    if who == ACCOUNT:
        return ACCOUNT
    if who.isdigit() and len(who) == 12:
        return f"arn:aws:iam::{who}:root"
    return who if who.startswith("arn:") else None


def service_principal(who: str) -> str | None:
    if who in SERVICES:
        return f"{who}.amazonaws.com"
    return who if who.endswith(".amazonaws.com") else None


def own_document(actions: tuple[str, ...], on: tuple[str, ...], deny: bool) -> str:
    statement = {
        "Effect": "Deny" if deny else "Allow",
        "Action": one(list(actions)),
        "Resource": one(list(on)),
    }
    return json.dumps({"Version": VERSION, "Statement": [statement]})


def read_document(file: Path) -> str:
    if not file.is_file():
        raise Invalid(f"There is no file {file}")
    text = file.read_text()
    parse_json(text, str(file))
    return text


def one(values: list[str]) -> Any:
    """A single value alone, as people write policies."""
    return values[0] if len(values) == 1 else values


def free_name(client: Any, name: str, action: str) -> str:
    """A name after the action, with a number where the role has such a policy already."""
    start = "".join(c if c.isalnum() or c in "+=,.@-_" else "-" for c in action).strip("-") or "own"
    taken, number, free = set(inline_names(client, name)), 1, start
    while free in taken:
        number += 1
        free = f"{start}-{number}"
    return free


def arn_of_policy(client: Any, name: str) -> str:
    for page in client.get_paginator("list_policies").paginate():
        for policy in page["Policies"]:
            if policy["PolicyName"] == name:
                return str(policy["Arn"])
    raise Invalid(
        f"There is no policy {name}; `aws iam list-policies` shows those there are, "
        "`role allow` writes one for this role alone"
    )


def inline_names(client: Any, name: str) -> list[str]:
    pages = client.get_paginator("list_role_policies").paginate(RoleName=name)
    return [policy for page in pages for policy in page["PolicyNames"]]


def attached_arns(client: Any, name: str) -> list[str]:
    pages = client.get_paginator("list_attached_role_policies").paginate(RoleName=name)
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def inline(client: Any, name: str) -> dict[str, Any]:
    """The role's inline policies by name."""
    return {
        policy: client.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in inline_names(client, name)
    }


def attached(client: Any, name: str) -> dict[str, Any]:
    """The managed policies the role has, by ARN, as they stand now."""
    found = {}
    for arn in attached_arns(client, name):
        version = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = client.get_policy_version(PolicyArn=arn, VersionId=version)
        found[arn] = answer["PolicyVersion"]["Document"]
    return found


def summary(client: Any, found: dict[str, Any]) -> dict[str, Any]:
    name = found["RoleName"]
    return {
        "name": name,
        "trusts": ", ".join(trusted(found["AssumeRolePolicyDocument"])),
        "policies": len(inline_names(client, name)) + len(attached_arns(client, name)),
        "arn": found["Arn"],
    }


def trusted(document: dict[str, Any]) -> list[str]:
    """Whom a trust policy names."""
    statements = document["Statement"]
    found: list[str] = []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", "*")
        values = principal.values() if isinstance(principal, dict) else [principal]
        found += [as_text(value) for value in values]
    return found
