"""Asking language models: providers, prompts, answers, what is kept of them."""
