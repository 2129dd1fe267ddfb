"""One rule a class; each only ever shrinks a target."""
