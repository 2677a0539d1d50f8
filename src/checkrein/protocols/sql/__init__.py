"""What SQL protocols share: effects, lineage, boundedness. No dialect, no wire."""
