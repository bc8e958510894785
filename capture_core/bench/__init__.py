"""The engine beside its peers, in one run on one machine: figures and ratios, never a verdict."""
