"""What every protocol must pass, and a toy protocol that shows how little a new one takes."""
