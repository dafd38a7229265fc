"""Recipes of one's own: every .py file in the folder that the setting learn_recipe_folder names."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tailorbird.errors import Invalid
from tailorbird.learn.models.engine import LOADERS
from tailorbird.learn.recipes import RECIPES
from tailorbird.learn.recipes.recipe import Recipe


def register(folder: str) -> list[str]:
    """Add the folder's recipes and their scorers' loaders; their names."""
    if not folder:
        return []
    if not Path(folder).is_dir():
        raise Invalid(f"The setting learn_recipe_folder names {folder!r}, which is not a folder")
    return [_add(path) for path in sorted(Path(folder).glob("*.py"))]


def _add(path: Path) -> str:
    module = _run(path)
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, Recipe):
        raise Invalid(f"{path} has no RECIPE = Recipe(...)")
    known = RECIPES.get(recipe.arn)
    if known is not None and known.origin != str(path):
        raise Invalid(f"{path}: there is another recipe called {recipe.name}; choose another name")
    loaders: dict[str, Callable[[dict[str, Any]], Any]] = getattr(module, "LOADERS", {})
    for name, load in loaders.items():
        if LOADERS.get(name, load) is not load and known is None:
            raise Invalid(f"{path}: there is another scorer called {name!r}; choose another name")
        LOADERS[name] = load
    RECIPES[recipe.arn] = replace(recipe, origin=str(path))
    return recipe.name


def _run(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"tailorbird_own_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever somebody's own file raises
        raise Invalid(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    return module
