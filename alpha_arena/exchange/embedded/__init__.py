"""The embedded exchange: OKX's v5 wire over the engine's own matching, on loopback."""
