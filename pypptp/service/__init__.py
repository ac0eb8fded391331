"""A running server or client: settings, start and stop order, signals."""
