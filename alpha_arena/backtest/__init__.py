"""Simulation of the past and what can be said of it."""
