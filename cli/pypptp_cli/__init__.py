"""The pypptp commands, one module each."""
