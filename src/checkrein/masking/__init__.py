"""What answers are masked by: detectors, strategies, and the plan that joins them for one result set.

Imports only `core`. No I/O: the deployment key comes in as an argument.
"""
