"""From a parse tree to effects, lineage, uses and boundedness. Concedes when unsure."""
