"""Amazon Personalize Runtime, operation by operation: the room's functions under the service's own names."""

from tailorbird.learn import serving

OPERATIONS = {
    "GetRecommendations": serving.get_recommendations,
    "GetPersonalizedRanking": serving.get_personalized_ranking,
}
