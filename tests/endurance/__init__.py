"""What only time and weight show: a real server process under long loads, floods and bad networks.

``soak`` looks for what is not given back, ``floods`` for whom a flood hurts, ``chaos`` for what a bad network costs.
Each has a short form among the tests; the long forms are ``make soak`` and ``python -m tests.endurance.NAME``.
"""
