"""What a person should know before relying on PPTP; said wherever somebody decides."""

BROKEN_CRYPTOGRAPHY = (
    "PPTP does not keep secrets: an MS-CHAPv2 log-in that was overheard can be cracked offline whatever the password, "
    "and MPPE (RC4) has no integrity, so packets can be forged. "
    "Use it for networks you cannot change, for labs and for tests."
)
"""MS-CHAPv2 comes down to DES keys of 56 bits (RFC 2759 section 8.5); MPPE frames carry no check at all (RFC 3078)."""

PASSWORD_IS_VISIBLE = (
    "the password given with --password can be read by every user of this machine (ps); "  # noqa: S105 - no password
    "use --password-file, PYPPTP_PASSWORD or the prompt"
)
