"""Found by every Python process that a test starts."""

from loopback_only import install

install()
