"""When things run: flows, the runner that executes them, the supervisor and `up`."""
