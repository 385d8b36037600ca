"""The core: accepts messages, keeps the truth in the database, talks to drivers and delivers events."""
