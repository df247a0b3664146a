"""Does the slow and the dangerous; never serves HTTP."""
