"""Where markets come from and where orders are matched."""
