"""aws-next-best-action: the actions a user is most likely to take soon (GetActionRecommendations).

The logistic models of the actions are fitted in `action_training`; the blend here is popularity of
items, which no answer shows.
"""

from tailorbird.learn.recipes import popularity_count
from tailorbird.learn.recipes.recipe import PERSONALIZED_ACTIONS, Recipe

RECIPE = Recipe(
    name="aws-next-best-action",
    type=PERSONALIZED_ACTIONS,
    description="Predicts which actions a user is likely to take within the optimization period.",
    fit=popularity_count.fit,
    refit=popularity_count.refit,
    feature_transformation="next-best-action",
    needs=("ACTIONS",),
)
