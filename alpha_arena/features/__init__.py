"""Indicators and regimes."""
