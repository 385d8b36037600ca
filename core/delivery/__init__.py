"""Delivery: signed webhooks to customers' endpoints, retried on a schedule that lives in the database."""
