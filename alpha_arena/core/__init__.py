"""Value types, ports and rules that every stage stands on; numpy and pydantic only."""
