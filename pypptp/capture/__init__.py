"""Capture files read offline: a recorded session followed and decrypted."""
