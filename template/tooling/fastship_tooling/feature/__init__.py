"""`feature`: create and remove domains."""
