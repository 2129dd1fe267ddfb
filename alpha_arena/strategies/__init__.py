"""One file a strategy; the YAML of the same name in conf/strategy holds its parameters."""
