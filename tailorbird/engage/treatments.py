"""Treatments: variants of a campaign, each for its share of the people. Pure.

Every endpoint has a cohort from 0 to 99, the same in all campaigns: the first cohorts are the
holdout, then come the additional treatments in their order, and the rest gets the default one.
"""

from __future__ import annotations

from typing import Any

from tailorbird.errors import Invalid

DEFAULT = "0"
MAX_ADDITIONAL = 4
CONTENT = ("MessageConfiguration", "TemplateConfiguration", "CustomDeliveryConfiguration")


def check(body: dict[str, Any]) -> None:
    """Invalid when the shares do not fit into a hundred."""
    additional = body.get("AdditionalTreatments") or []
    if len(additional) > MAX_ADDITIONAL:
        raise Invalid(
            f"AdditionalTreatments has {len(additional)} treatments; {MAX_ADDITIONAL} is the limit"
        )
    holdout = body.get("HoldoutPercent") or 0
    if not 0 <= holdout <= 100:
        raise Invalid(f"HoldoutPercent is {holdout}; 0 to 100 are right")
    for treatment in additional:
        if not 0 <= treatment["SizePercent"] <= 100:
            raise Invalid(f"SizePercent is {treatment['SizePercent']}; 0 to 100 are right")
    shares = holdout + sum(treatment["SizePercent"] for treatment in additional)
    if shares > 100:
        raise Invalid(f"HoldoutPercent and all SizePercent make {shares}; 100 is all there is")


def numbered(body: dict[str, Any]) -> dict[str, Any]:
    """With an Id for each additional treatment: "1" to "4"."""
    additional = body.get("AdditionalTreatments")
    if not additional:
        return body
    named = [
        {**{k: v for k, v in treatment.items() if k != "State" and v is not None}, "Id": str(n)}
        for n, treatment in enumerate(additional, 1)
    ]
    return {**body, "AdditionalTreatments": named}


def ids(body: dict[str, Any]) -> list[str]:
    return [DEFAULT, *(treatment["Id"] for treatment in body.get("AdditionalTreatments") or [])]


def body_of(body: dict[str, Any], treatment_id: str) -> dict[str, Any]:
    """The campaign as one treatment runs it: what the treatment gives, else the campaign's own."""
    treatment = next(
        (t for t in body.get("AdditionalTreatments") or [] if t["Id"] == treatment_id), None
    )
    if treatment is None:
        return body
    own = {name: treatment[name] for name in (*CONTENT, "Schedule") if treatment.get(name)}
    if "MessageConfiguration" in own and "TemplateConfiguration" not in own:
        body = {name: value for name, value in body.items() if name != "TemplateConfiguration"}
    return {**body, **own}


def assigned(body: dict[str, Any], cohort: int) -> str | None:
    """The treatment of a cohort; None when it is held out."""
    share = body.get("HoldoutPercent") or 0
    if cohort < share:
        return None
    for treatment in body.get("AdditionalTreatments") or []:
        share += treatment["SizePercent"]
        if cohort < share:
            return str(treatment["Id"])
    return DEFAULT
