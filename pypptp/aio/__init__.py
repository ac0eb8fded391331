"""The asyncio shell around the core: a server, a client, and the data plane that moves their packets."""
