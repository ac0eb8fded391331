"""The Linux edge: TUN, raw GRE, links and routes, NAT."""
