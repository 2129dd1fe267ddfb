"""Where orders go."""
