"""Operations of this service: its own names -> the functions of the room."""

from tailorbird.learn import action_serving, latency, quick, serving

OPERATIONS = {
    "GetRecommendations": serving.get_recommendations,
    "GetPersonalizedRanking": serving.get_personalized_ranking,
    "GetActionRecommendations": action_serving.get_action_recommendations,
}
QUICK = dict.fromkeys(("GetRecommendations", "GetPersonalizedRanking"), quick.is_quick)
ANSWERED = latency.answered
