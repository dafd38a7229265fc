"""What recipes learn of items from the Items dataset: one vector for each item of the catalogue."""

import numpy as np

from tailorbird.learn.models.ids import Ids
from tailorbird.learn.models.texts import Texts
from tailorbird.learn.recipes.recipe import Options


def vectors(items: Ids, options: Options, size: int) -> np.ndarray:
    """[item, dimension], rows of length 1; no dimensions without metadata to learn from."""
    found = fitted(options, size)
    if found is None:
        return np.zeros((len(items), 0), dtype=np.float32)
    texts, records = found
    return texts.vectors(records.get(one, {}) for one in items)


def fitted(options: Options, size: int) -> tuple[Texts, dict[str, dict[str, str]]] | None:
    """The texts' model and the records it was fitted on; None without such columns."""
    if options.items is None or not options.metadata:
        return None
    codes, names = options.items.strings["ITEM_ID"]
    records: dict[str, dict[str, str]] = {names[n]: {} for n in codes.tolist()}
    order = [records[names[n]] for n in codes.tolist()]
    for column in options.metadata:
        cells, values = options.items.strings[column]
        for record, cell in zip(order, cells.tolist(), strict=True):
            if values[cell]:
                record[column] = values[cell]
    return Texts.fit(order, options.metadata, size), records
