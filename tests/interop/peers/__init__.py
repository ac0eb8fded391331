"""The programs under test and the settings they are given."""
