"""Use cases of domain dataset groups: presets over the same engines, for recommenders only.

Source: Personalize developer guide, "ECOMMERCE use cases" and "VIDEO_ON_DEMAND use cases".
"""

from dataclasses import replace

from tailorbird.learn.recipes import personal, popularity_count, similar_items, sims, trending_now
from tailorbird.learn.recipes.recipe import (
    POPULAR_ITEMS,
    USER_PERSONALIZATION,
    Recipe,
)

ECOMMERCE, VIDEO_ON_DEMAND = "ECOMMERCE", "VIDEO_ON_DEMAND"
VIEW, PURCHASE, WATCH = "View", "Purchase", "Watch"

_POPULAR = replace(popularity_count.RECIPE, type=POPULAR_ITEMS, hyperparameters={})
_RELATED = replace(sims.RECIPE, hyperparameters={})
_ALIKE = replace(similar_items.RECIPE, hyperparameters={})
_PERSONAL = Recipe(
    "", USER_PERSONALIZATION, "", personal.fit, personal.refit, algorithm="aws-user-personalization"
)

RECIPES: tuple[Recipe, ...] = (
    replace(
        _POPULAR,
        name="aws-ecomm-popular-items-by-views",
        description="The items that most users viewed.",
        domain=ECOMMERCE,
        events=(VIEW,),
        needs_user=True,
    ),
    replace(
        _POPULAR,
        name="aws-ecomm-popular-items-by-purchases",
        description="The items that most users bought.",
        domain=ECOMMERCE,
        events=(PURCHASE,),
        needs_user=True,
    ),
    replace(
        _RELATED,
        name="aws-ecomm-frequently-bought-together",
        description="Items that the buyers of an item buy as well.",
        domain=ECOMMERCE,
        events=(PURCHASE,),
    ),
    replace(
        _RELATED,
        name="aws-ecomm-customers-who-viewed-x-also-viewed",
        description="Items that the viewers of an item view as well, without what the user bought.",
        domain=ECOMMERCE,
        events=(VIEW,),
        hides=(PURCHASE,),
        needs_user=True,
    ),
    replace(
        _PERSONAL,
        name="aws-ecomm-recommended-for-you",
        description="What the user is likely to want next, without what the user bought.",
        domain=ECOMMERCE,
        hides=(PURCHASE,),
    ),
    replace(
        _RELATED,
        name="aws-vod-because-you-watched-x",
        description="Items that the watchers of an item watch as well, without those watched.",
        domain=VIDEO_ON_DEMAND,
        events=(WATCH,),
        hides=(WATCH,),
        needs_user=True,
    ),
    replace(
        _ALIKE,
        name="aws-vod-more-like-x",
        description="Items like an item, without those the user watched.",
        domain=VIDEO_ON_DEMAND,
        events=(WATCH,),
        hides=(WATCH,),
        needs_user=True,
    ),
    replace(
        _POPULAR,
        name="aws-vod-most-popular",
        description="The items that most users watched.",
        domain=VIDEO_ON_DEMAND,
        events=(WATCH,),
        needs_user=True,
    ),
    replace(
        trending_now.RECIPE,
        name="aws-vod-trending-now",
        description="The items whose audience grows fastest.",
        domain=VIDEO_ON_DEMAND,
        events=(WATCH,),
    ),
    replace(
        _PERSONAL,
        name="aws-vod-top-picks",
        description="What the user is likely to watch next, without what was watched.",
        domain=VIDEO_ON_DEMAND,
        hides=(WATCH,),
    ),
)
