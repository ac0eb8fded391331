"""The guest: how it is built, started, spoken to; the machines in it; what was seen on their wire."""
