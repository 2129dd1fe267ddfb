"""From strategies' signals to one target."""
