"""``python -m pypptp_cli`` is the same as the ``pypptp`` command."""

from pypptp_cli.entry import main

if __name__ == "__main__":
    main()
