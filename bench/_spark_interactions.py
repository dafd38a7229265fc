"""The seed's job as one would write it for Spark: the yardstick of the bench of prepare.

    python -m bench._spark_interactions FOLDER OUTPUT MASTER

DataFrames with a declared schema, the products of an order exploded, one CSV at the end. Unlike
the seed's own script it survives odd types and times; unlike the rule it takes numbers with a
point and objects for ids, so that it has some rows more.
"""

from __future__ import annotations

import sys
from typing import Any

ITEM = "sku string, product_id string, id string"
SCHEMA = (
    "event string, userId string, timestamp string,"
    f" properties struct<{ITEM.replace(' string', ':string')},"
    f"products:array<struct<{ITEM.replace(' string', ':string')}>>>"
)
EVENTS = ("Product Viewed", "Product Clicked", "Product Added", "Order Completed")


def main(folder: str, output: str, master: str) -> None:
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    spark = (
        SparkSession.builder.master(master)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.ansi.enabled", "false")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )

    def item(of: Any) -> Any:
        keys = ("sku", "product_id", "id")
        return f.coalesce(*[f.when(of[key] != "", of[key]) for key in keys])

    properties = f.col("properties")
    calls = spark.read.schema(SCHEMA).option("recursiveFileLookup", True).json(folder)
    rows = (
        calls.where(f.col("event").isin(*EVENTS) & (f.col("userId") != ""))
        .select(
            f.col("userId").alias("USER_ID"),
            f.when(f.size("properties.products") > 0, f.transform("properties.products", item))
            .otherwise(f.array(item(properties)))
            .alias("items"),
            f.col("event").alias("EVENT_TYPE"),
            f.unix_seconds(f.try_to_timestamp("timestamp")).alias("TIMESTAMP"),
        )
        .where("TIMESTAMP IS NOT NULL")
        .select("USER_ID", f.explode("items").alias("ITEM_ID"), "EVENT_TYPE", "TIMESTAMP")
        .where("ITEM_ID IS NOT NULL")
    )
    rows.repartition(1).write.mode("overwrite").option("header", True).csv(output)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:4])
