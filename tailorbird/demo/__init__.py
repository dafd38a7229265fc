"""The demo: the whole loop played from outside, with the clients that customers have."""
