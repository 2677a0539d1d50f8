"""The composition root: the only place that wires ports to adapters. Imports every layer; imported by `cli` alone."""
