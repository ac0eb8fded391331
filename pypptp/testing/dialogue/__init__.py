"""Talking PPTP with a target message by message: the checks of ``pypptp spec``, the playbook and the personas do.

``case`` has ways to come to each stage of a session, ``control`` and ``call`` say and hear single messages, ``stages``
goes the well-behaved way between. ``network`` is how the target is reached: ``sockets`` for a real one, ``memory`` for
this project's own endpoints in the same process, with ``virtual_time`` in place of waiting.
"""
