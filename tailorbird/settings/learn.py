"""Data, trainings, recommendations and their limits."""

from tailorbird.settings.setting import Setting

SETTINGS = (
    Setting(
        "learn_bucket",
        str,
        "tailorbird-learn",
        "Bucket of imported parts and trained models",
    ),
    Setting(
        "learn_import_roots",
        str,
        "",
        "Folders (separated by :) whose files imports may read by file:// or path; empty: none",
    ),
    Setting(
        "learn_import_bad_rows",
        str,
        "fail",
        "A row that cannot be read: fail refuses the import (as Personalize), skip leaves it out",
    ),
    Setting(
        "learn_import_bad_numbers",
        str,
        "blank",
        "A number that describes an item or user and cannot be read: blank counts it as missing"
        " (as Personalize did with the sample of its workshop), refuse treats its row as bad",
    ),
    Setting(
        "learn_max_busy_imports",
        int,
        100,
        "Imports pending or in progress in an account and region (Personalize: 5); 0 is no limit",
    ),
    Setting(
        "learn_max_busy_jobs",
        int,
        100,
        "Export, deletion and batch jobs of one kind pending or in progress (Personalize: 5); "
        "0 is no limit",
    ),
    Setting(
        "learn_max_busy_trainings",
        int,
        1000,
        "Solution versions pending or in progress in an account and region (Personalize: 20); "
        "0 is no limit",
    ),
    Setting(
        "learn_max_dataset_groups",
        int,
        0,
        "Dataset groups of an account in a region (Personalize: 5); 0 is no limit",
    ),
    Setting(
        "learn_max_schemas",
        int,
        0,
        "Schemas of an account in a region (Personalize: 500); 0 is no limit",
    ),
    Setting(
        "learn_max_solutions",
        int,
        0,
        "Solutions of a dataset group (Personalize: 10); 0 is no limit",
    ),
    Setting(
        "learn_max_campaigns",
        int,
        0,
        "Campaigns of a dataset group (Personalize: 5); 0 is no limit",
    ),
    Setting(
        "learn_max_recommenders",
        int,
        0,
        "Recommenders of a dataset group (Personalize: 5); 0 is no limit",
    ),
    Setting(
        "learn_spark_master",
        str,
        "",
        "Master of the Spark that large batch jobs run on (spark://host:7077, yarn, local[8]; needs"
        " tailorbird[spark], executors numpy and scipy); empty: all run in the worker's process",
    ),
    Setting(
        "learn_spark_lines",
        int,
        10_000,
        "Lines of an inference job, or users of a segment job's version, from which on it goes to"
        " learn_spark_master",
    ),
    Setting(
        "learn_recipe_folder",
        str,
        "",
        "Folder whose .py files each add a recipe of one's own (docs/own-models.md)",
    ),
    Setting(
        "learn_auto_training",
        bool,
        False,
        "Train again on a schedule where a solution does not say performAutoTraining "
        "(Personalize: true)",
    ),
    Setting(
        "learn_min_interactions",
        int,
        1000,
        "Interactions an import and a training need at least (Personalize: 1000)",
    ),
    Setting(
        "learn_min_users",
        int,
        25,
        "Users with two interactions that a training needs at least (Personalize: 25)",
    ),
    Setting(
        "learn_min_returning_share",
        float,
        0.01,
        "Share of users with two interactions that a training needs (Personalize: 1 %)",
    ),
    Setting(
        "learn_dense_items",
        int,
        12_000,
        "Items that the dense linear models cover; the sparse models cover the others",
    ),
    Setting(
        "learn_event_item_keys",
        str,
        "itemId,id",
        "Keys of an event's properties that name the item, the first one there counts",
    ),
    Setting(
        "learn_strict_filters",
        bool,
        True,
        "Filters refuse what Personalize's do: booleans, texts, two datasets in one expression",
    ),
    Setting(
        "learn_max_filters", int, 1000, "Filters of a dataset group (Personalize: 30); 0: no limit"
    ),
    Setting(
        "learn_max_filter_fields",
        int,
        100,
        "Distinct fields in one filter (Personalize: 10); 0 is no limit",
    ),
    Setting(
        "learn_max_group_filter_fields",
        int,
        200,
        "Distinct fields in all filters of a group (Personalize: 20); 0 is no limit",
    ),
    Setting(
        "learn_native",
        bool,
        True,
        "Recommendations are added up in C where that was built; false: all in Python",
    ),
    Setting(
        "learn_exploration_weight",
        float,
        0.0,
        "Exploration of campaigns that name no explorationWeight (Personalize: 0.3)",
    ),
    Setting(
        "learn_served_days",
        float,
        7.0,
        "Days for which campaigns that explore remember the lists they have shown",
    ),
    Setting(
        "learn_realistic_timing",
        float,
        0.0,
        "Share of the service's own waits before things become ACTIVE: 1 is its pace, 0 at once",
    ),
    Setting(
        "learn_max_recommendations_per_second",
        float,
        0.0,
        "Recommendations a second of one campaign and process (Personalize: 500); 0 is no limit",
    ),
    Setting(
        "learn_max_put_events_per_second",
        float,
        0.0,
        "PutEvents a second of an account and process (Personalize: 1000); 0 is no limit",
    ),
    Setting(
        "learn_max_puts_per_second",
        float,
        0.0,
        "PutItems, PutUsers, PutActions a second of one dataset (Personalize: 10); 0 is no limit",
    ),
    Setting(
        "learn_automatic_update_hours",
        float,
        2.0,
        "Hours between automatic updates of deployed versions (Personalize: 2); 0 turns off all "
        "automatic updates",
    ),
    Setting(
        "learn_trend_minutes",
        float,
        0.0,
        "Minutes between updates of what is trending; 0 goes by the recipe's frequency, "
        "at most 2 hours",
    ),
    Setting(
        "learn_recommender_days",
        float,
        7.0,
        "Days between trainings of a recommender when something came in (Personalize: 7); 0: never",
    ),
    Setting(
        "learn_attribution_minutes",
        float,
        15.0,
        "Minutes between metric attribution reports of live events; 0 writes none of them",
    ),
    Setting(
        "learn_transformer_seconds",
        float,
        60.0,
        "Seconds the transformer of a -v2 recipe learns where torch is installed; 0: it has none",
    ),
    Setting(
        "learn_transformer_rows",
        int,
        50_000,
        "Interactions from which on such a recipe gets a transformer unasked",
    ),
    Setting(
        "learn_transformer_device",
        str,
        "auto",
        "Where it learns: cpu, cuda, mps, or auto, which takes cuda where there is one",
    ),
    Setting("learn_training_threads", int, 2, "Threads of linear algebra in one training"),
    Setting("learn_seed", int, 0, "Seed of the split into training and test users"),
)
