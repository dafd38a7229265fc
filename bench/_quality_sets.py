"""The public sets and how each is split into training rows and cases, for the bench of quality."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from tailorbird.learn.models.blend import Case
from tailorbird.learn.models.interactions import History, Interactions, interactions, joined

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
DAY = 86_400
COLUMNS = "USER_ID, ITEM_ID, TIMESTAMP, EVENT_TYPE"


@dataclass
class Split:
    """Rows to train on, what is asked, and the protocol in words."""

    train: Interactions
    cases: list[Case]
    words: str


def poc() -> Interactions:
    """AWS's POC set, whole."""
    return load("poc-ml-latest-small/interactions.csv.gz", COLUMNS)


def ml_1m() -> Split:
    """MovieLens-1M, gSASRec's leave-one-out; its times are not to be had, only the order."""
    from_the_end = "1000000 + POSITION - max(POSITION) OVER (PARTITION BY USER_ID)"
    data = load("ml-1m/interactions.parquet", f"USER_ID, ITEM_ID, {from_the_end}, ''")
    last = data.offsets[1:] - 1
    rows = np.ones(len(data), dtype=bool)
    rows[last] = False
    train = data.keep(rows)
    cases = [
        Case(user, train.history(user), data.item[last[user] : last[user] + 1])
        for user in range(len(data.users))
    ]
    return Split(train, cases, "last item of each user, all 3,416 items ranked, seen removed")


def complete_journey(before: bool = False) -> Split:
    """Groceries: cut four weeks before the end, the next seven days' purchases, repeats wanted.

    As in the study, items with 20 rows in the whole year (13,343 of them, 1,327 people asked);
    with `before`, items with ten rows before the cut, so that nothing later picks the items.
    """
    name = "complete-journey/interactions.parquet"
    end = duckdb.sql(f"SELECT max(TIMESTAMP) FROM '{DATA / name}'").fetchall()[0][0]
    cut = end - 28 * DAY
    least, which = (10, f"WHERE TIMESTAMP < {cut}") if before else (20, "")
    common = (
        f"ITEM_ID IN (SELECT ITEM_ID FROM '{DATA / name}' {which}"
        f" GROUP BY 1 HAVING count(*) >= {least})"
    )
    data = joined(load(name, COLUMNS, f"TIMESTAMP < {cut + 7 * DAY} AND {common}"))
    counted = "10 rows before" if before else "20 rows in the year"
    words = f"purchases of the 7 days after a cut 28 days before the end, items with {counted}"
    return _next_days(data, cut, seen=True, known=False, words=words)


def deskdrop(known: bool = True) -> Split:
    """Articles: cut at 70 % of the rows, the next 14 days, seen removed.

    As in the study, a person's first event with an article is its only row (2,231 articles before
    the cut, 248 people asked). `known` asks only for articles that had a row before the cut.
    """
    name = "deskdrop/interactions.parquet"
    first = "QUALIFY row_number() OVER (PARTITION BY USER_ID, ITEM_ID ORDER BY TIMESTAMP) = 1"
    data = load(name, COLUMNS, f"TRUE {first}")
    cut = int(np.sort(data.time)[int(0.7 * len(data))])
    which = "known articles" if known else "articles, new ones too,"
    words = f"{which} of the 14 days after 70 % of the first events, seen removed"
    data = data.keep(data.time < cut + 14 * DAY)
    return _next_days(data, cut, seen=False, known=known, words=words)


def retailrocket() -> Split:
    """Shop sessions: the published test sessions, every prefix, nothing removed."""
    name = "retailrocket-sessions/interactions.parquet"
    data = load(name, "SESSION_ID, ITEM_ID, SESSION_ID * 1000 + POSITION, ''")
    query = f"SELECT DISTINCT SESSION_ID FROM '{DATA / name}' WHERE IS_TEST > 0"
    test = {str(row[0]) for row in duckdb.sql(query).fetchall()}
    of_test = np.array([user in test for user in data.users])
    cases = [
        Case(user, data.history(user, row), data.item[row : row + 1])
        for user in np.flatnonzero(of_test).tolist()
        for row in range(int(data.offsets[user]) + 1, int(data.offsets[user + 1]))
    ]
    words = "every prefix of the published test sessions, all 36,968 items ranked, seen allowed"
    return Split(data.keep(~of_test[data.user]), cases, words)


def load(name: str, columns: str, where: str = "TRUE") -> Interactions:
    """The four columns user, item, time, event type of a file, in the file's order."""
    if not (DATA / name).exists():
        sys.exit(f"{DATA / name} is not on this machine")
    reader = f"read_csv('{DATA / name}')" if ".csv" in name else f"'{DATA / name}'"
    rows = duckdb.sql(
        f"SELECT u::VARCHAR, i::VARCHAR, t::DOUBLE, e::VARCHAR FROM (SELECT {columns} FROM {reader}"
        f" WHERE {where}) AS x(u, i, t, e)"
    ).fetchnumpy()
    user, item, when, kind = rows.values()
    return interactions(user.astype(str), item.astype(str), when, kind.astype(str))


def _next_days(data: Interactions, cut: int, *, seen: bool, known: bool, words: str) -> Split:
    """Train on what lies before the cut, ask for what comes after; `known` items only."""
    train = data.keep(data.time < cut)
    had = np.bincount(train.item, minlength=data.item_count) > 0
    cases = []
    for user in range(len(data.users)):
        start, stop = int(data.offsets[user]), int(data.offsets[user + 1])
        split = int(train.offsets[user + 1] - train.offsets[user]) + start
        targets = np.unique(data.item[split:stop])
        past = train.history(user, now=float(cut))
        if not seen:
            targets = np.setdiff1d(targets, past.item)
        if known:
            targets = targets[had[targets]]
        if len(past) and len(targets):
            cases.append(Case(user, History(past.item, past.time, past.kind, float(cut)), targets))
    return Split(train, cases, words)
