"""Recipes: one file each, listed here."""

from tailorbird.learn.recipes import (
    affinity,
    domains,
    hrnn,
    hrnn_coldstart,
    hrnn_metadata,
    next_best_action,
    personalized_ranking,
    personalized_ranking_v2,
    popularity_count,
    semantic_similarity,
    similar_items,
    sims,
    trending_now,
    user_personalization,
    user_personalization_v2,
)
from tailorbird.learn.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    module.RECIPE.arn: module.RECIPE
    for module in (
        user_personalization_v2,
        user_personalization,
        personalized_ranking_v2,
        personalized_ranking,
        similar_items,
        semantic_similarity,
        sims,
        popularity_count,
        trending_now,
        hrnn,
        hrnn_metadata,
        hrnn_coldstart,
        next_best_action,
    )
} | {recipe.arn: recipe for recipe in (*affinity.RECIPES, *domains.RECIPES)}
