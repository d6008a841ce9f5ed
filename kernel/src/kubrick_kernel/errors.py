"""The error that is the user's to put right."""


class ConfigurationError(Exception):
    """What the user asked for can't be. The message is one line that says what is wrong, where, and
    what would be right; the ``kubrick`` command prints it and exits with code 2."""
