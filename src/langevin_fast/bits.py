"""The number of the bits."""

# Raised whenever a run of the same arguments gives other bits than before (tests/data/digests.json changes): a run that
# began with other bits is not continued with these.
BITS = 1
