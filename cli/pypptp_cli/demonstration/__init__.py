"""What ``pypptp demo`` does, finds and shows."""
