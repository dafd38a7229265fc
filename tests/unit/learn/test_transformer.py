"""The transformer: numpy answers as torch does, a killed training goes on, and it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tailorbird.errors import Invalid
from tailorbird.learn import metrics, neural, solutions, training
from tailorbird.learn.models import checkpoints, engine
from tailorbird.learn.models.interactions import History, Interactions, interactions
from tailorbird.learn.models.transformer import Transformer
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.personal import TRANSFORMER_SECONDS
from tests.conftest import wait_for

from .conftest import Study, as_csv, chains

torch = pytest.importorskip("torch")
from tailorbird.learn.models import network, transformer_training  # noqa: E402
from tailorbird.learn.models.transformer_training import Budget  # noqa: E402

PREFIX = "arn:aws:personalize:::recipe/"
SHORT = Budget(seconds=60.0, epochs=2, device="cpu")


def cycles(users: int = 120, items: int = 70, rows: int = 30) -> Interactions:
    """Everybody walks round the same circle of items, from a place of their own."""
    random = np.random.default_rng(0)
    found = [
        (f"u{n}", f"i{(start + k) % items:02}", k, "watch" if k % 3 else "click")
        for n, start in enumerate(random.integers(0, items, users).tolist())
        for k in range(rows)
    ]
    return interactions(*zip(*found, strict=True))  # type: ignore[arg-type]


def fresh(data: Interactions, longest: int = 12) -> tuple[Transformer, object]:
    """An untrained network of both kinds, with weights that do something everywhere."""
    torch.manual_seed(3)
    net = network.network(data.item_count, longest, len(data.kinds) + 1)
    with torch.no_grad():
        for one in net.parameters():
            one.add_(torch.randn_like(one) * 0.05)
    net.eval()
    cover = np.arange(data.item_count)
    return Transformer(data.item_count, cover, network.HEADS, net.arrays()), net


@pytest.mark.parametrize("rows", [1, 5, 12, 30])
def test_numpy_scores_what_torch_scores(rows: int):
    data = cycles()
    ours, net = fresh(data)
    history = data.history(0).last(rows)
    with torch.no_grad():
        code = torch.from_numpy(history.item[-12:].astype(np.int64))[None]
        kind = torch.from_numpy(history.kind[-12:].astype(np.int64) + 1)[None]
        expected = (net(code, kind)[0, -1] @ net.item.T).numpy()
    assert np.allclose(ours.score(history), expected, atol=1e-4)


def test_it_learns_what_comes_next_and_is_stored_as_plain_arrays():
    data = cycles(users=60, items=15, rows=12)
    model = transformer_training.fit(data, replace(SHORT, epochs=120))
    again = Transformer.load(model.arrays())
    right = 0
    for user in range(40):
        past = data.history(user)
        right += int(np.argmax(again.score(history_cut(past, 8)))) == int(past.item[8])
    assert right >= 36


def history_cut(past, rows: int):
    return replace(past, item=past.item[:rows], time=past.time[:rows], kind=past.kind[:rows])


def test_attention_in_plain_products_is_torchs_own():
    q, k, v = torch.randn(3, 4, 2, 20, 32)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    found = network._attention(q.bfloat16(), k.bfloat16(), v.bfloat16())
    assert torch.allclose(found.float(), expected, atol=0.05)
    assert torch.allclose(network._attention(q, k, v), expected, atol=1e-5)


def test_a_fifth_of_the_numbers_is_dropped_and_the_mean_kept():
    x, drop = torch.ones(500, 63), network.Dropout(1, "cpu")
    assert drop(x) is x
    drop.share = 0.2
    found = drop(x)
    assert float((found == 0).float().mean()) == pytest.approx(0.2, abs=0.01)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.02)


def test_the_same_seed_and_epochs_give_the_same_weights():
    data = cycles(users=30)
    first, second = (transformer_training.fit(data, SHORT) for _ in range(2))
    assert np.array_equal(first.weights["item"], second.weights["item"])


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path):
    data, said = cycles(), []
    budget = replace(SHORT, checkpoint=tmp_path / "choose.npz", progress=said.append)
    transformer_training.fit(data, budget)
    assert f"{checkpoints.SAID}choose.npz" in said
    assert any("epoch" in line and "loss" in line and "s left" in line for line in said)
    half = checkpoints.read(budget.checkpoint, data.items, np.arange(data.item_count))
    assert half is not None and half["finished"]
    steps = int(half["step"])
    transformer_training.fit(data, budget)
    done = checkpoints.read(budget.checkpoint, data.items, np.arange(data.item_count))
    assert done is not None and int(done["step"]) == steps


def test_a_checkpoint_of_half_the_way_is_gone_on_from(tmp_path: Path, monkeypatch):
    data = cycles()
    path = tmp_path / "choose.npz"
    monkeypatch.setattr(transformer_training, "CHECKPOINT_SECONDS", 0.0)
    written = []

    def killed(text: str) -> None:
        if text.startswith(checkpoints.SAID):
            written.append(text)
            if len(written) == 3:
                raise KeyboardInterrupt

    budget = replace(SHORT, epochs=4, checkpoint=path, progress=killed)
    with pytest.raises(KeyboardInterrupt):
        transformer_training.fit(data, budget)
    before = checkpoints.read(path, data.items, np.arange(data.item_count))
    assert before is not None and before["step"] > 0 and not before["finished"]
    transformer_training.fit(data, replace(budget, progress=lambda _text: None))
    after = checkpoints.read(path, data.items, np.arange(data.item_count))
    assert after is not None and after["step"] > before["step"] and after["spent"] > before["spent"]


def test_a_checkpoint_knows_items_by_their_ids(tmp_path: Path):
    data = cycles(items=20)
    path = tmp_path / "one.npz"
    cover = np.arange(20)
    checkpoints.write(path, data.items, cover, {"net/item": np.arange(20.0)[:, None]})
    fewer = interactions(["u"] * 3, ["i05", "i07", "new"], [0, 1, 2])
    found = checkpoints.read(path, fewer.items, np.arange(3))
    assert found is not None
    assert found["net/item"].ravel().tolist() == [5.0, 7.0, 9.5]
    assert checkpoints.read(path, interactions(["u"], ["x"], [0]).items, np.arange(1)) is None


def test_the_blend_weighs_it_and_the_refit_goes_on_from_it():
    data = cycles(users=60, items=15, rows=12)
    blend = engine.choose(data, 1_000, 0, lambda _text: None, SHORT)
    assert "transformer" in blend.alone
    model = transformer_training.fit(data, SHORT)
    scorers = blend.scorers | {"transformer": model}
    blend = replace(blend, scorers=scorers, weights={**blend.weights, "transformer": 0.4})
    final = engine.refit(blend, data, 1_000, lambda _text: None, SHORT)
    assert isinstance(final.scorers["transformer"], Transformer)
    kept = engine.refit(blend, data, 1_000, lambda _text: None)
    assert kept.scorers["transformer"] is model


def test_a_refit_learns_no_longer_than_the_choice_took():
    data = cycles(users=60, items=15, rows=12)
    model = transformer_training.fit(data, replace(SHORT, epochs=0.6))
    blend = engine.Blend({"transformer": model}, {"transformer": 1.0}, 0.0, "transformer")
    final = engine.refit(blend, data, 1_000, lambda _text: None, replace(SHORT, epochs=50))
    learned = final.scorers["transformer"].epochs
    assert 0.6 <= model.epochs < learned <= model.epochs * 5 / 3 + 0.5  # of the last batch a part
    assert Transformer.load(final.scorers["transformer"].arrays()).epochs == learned


@pytest.mark.parametrize("epochs, share", [(0, 0.0), (12, 0.0), (36, 0.1), (60, 0.2), (500, 0.2)])
def test_the_longer_it_will_learn_the_more_is_dropped(epochs: float, share: float):
    assert transformer_training.dropped(epochs) == pytest.approx(share)


def test_an_update_carries_it_to_other_numbers(tmp_path: Path):
    data = cycles(items=20)
    ours, _ = fresh(data)
    path = tmp_path / "before.npz"
    checkpoints.write(path, data.items, ours.cover, dict(ours.weights))
    more = interactions(
        ["u"] * 4, ["a-new-one", "i03", "i05", "i04"], [0, 1, 2, 3], ["bought", *["watch"] * 3]
    )
    carried = neural.carried(str(path), more, data.kinds)
    watch = data.kinds.index("watch")
    asked = [data.items.find(one) for one in ("i03", "i05", "i04")]
    kinds = np.full(3, watch, dtype=np.int16)
    history = History(np.array(asked, dtype=np.int32), np.arange(3.0), kinds, 3.0)
    expected, found = ours.score(history), carried.score(more.history(0))
    for one in ("i03", "i04", "i05"):
        assert found[more.items.find(one)] == pytest.approx(
            expected[data.items.find(one)], abs=1e-5
        )


def spec(tmp_path: Path, **bounds: object) -> dict:
    usual = {"seconds": 60.0, "rows": 100, "device": "cpu", "checkpoints": str(tmp_path)}
    return {"threads": 1, "seed": 0, "transformer": usual | bounds}


@pytest.mark.parametrize(
    "recipe, given, bounds, seconds",
    [
        ("aws-user-personalization-v2", {}, {}, 60.0),
        ("aws-user-personalization-v2", {}, {"rows": 10**6}, None),
        ("aws-user-personalization-v2", {}, {"seconds": 0.0}, None),
        ("aws-user-personalization-v2", {TRANSFORMER_SECONDS: "0"}, {}, None),
        ("aws-personalized-ranking-v2", {TRANSFORMER_SECONDS: "5"}, {"rows": 10**6}, 5.0),
        ("aws-user-personalization", {}, {}, None),
        ("aws-user-personalization", {TRANSFORMER_SECONDS: "7"}, {}, 7.0),
        ("aws-sims", {}, {}, None),
    ],
)
def test_who_gets_a_transformer(tmp_path: Path, recipe: str, given, bounds, seconds):
    data = cycles()
    chosen = RECIPES[PREFIX + recipe]
    found = neural.budget(spec(tmp_path, **bounds), chosen, given, data, print)
    assert (found.seconds if found else None) == seconds


def test_one_that_is_asked_for_without_torch_says_what_to_install(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(neural, "installed", lambda: False)
    chosen = RECIPES[f"{PREFIX}aws-user-personalization-v2"]
    assert neural.budget(spec(tmp_path), chosen, {}, cycles(), print) is None
    with pytest.raises(Invalid, match=r"tailorbird\[torch\]"):
        neural.budget(spec(tmp_path), chosen, {TRANSFORMER_SECONDS: "9"}, cycles(), print)


def test_a_version_is_trained_with_one_and_an_update_keeps_it(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    solution = study(
        solutions.create_solution,
        name="one",
        datasetGroupArn=study.group,
        recipeArn=f"{PREFIX}aws-user-personalization",
        solutionConfig={"algorithmHyperParameters": {TRANSFORMER_SECONDS: "1"}},
    )["solutionArn"]
    for mode in ("FULL", "UPDATE"):
        asked = {"solutionArn": solution, "trainingMode": mode}
        arn = study(training.create_solution_version, **asked)["solutionVersionArn"]
        assert settled(study, arn) == "ACTIVE"
        report = metrics.report(study.room, arn)
        assert "transformer" in report["alone"]
    kept = f"s3://{study.room.settings.learn_bucket}/checkpoints/"
    assert not list(study.room.objects.list(kept))


def settled(study: Study, arn: str) -> str:
    """The version's status when it is done; importing torch takes a while."""

    def status() -> str:
        shown = study(training.describe_solution_version, solutionVersionArn=arn)
        return shown["solutionVersion"]["status"]

    wait_for(lambda: status() not in ("CREATE PENDING", "CREATE IN_PROGRESS"), 300)
    return status()
