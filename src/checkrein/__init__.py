"""Checkrein: a policy-enforcement gateway for autonomous agents."""
