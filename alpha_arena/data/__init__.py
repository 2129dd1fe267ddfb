"""The database and its only door, DataService."""
