"""docs/conformance.md: every check of ``pypptp spec`` against pypptp's own server and client and the real ones.

``python -m tests.interop.conformance`` runs them, leaves a file for each target in ``results``, and writes the page.
"""
