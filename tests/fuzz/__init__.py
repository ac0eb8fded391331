"""Fuzzing: targets, a corpus made of recordings, and two engines: hypothesis in every run, atheris in ``make fuzz``.

``targets`` take octets and raise where a promise is broken. ``corpus`` is what the engines begin with, ``crashes`` are
what they found: each stays a test for good.
"""
