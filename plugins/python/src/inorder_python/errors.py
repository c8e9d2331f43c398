"""Why a tool cannot answer, in words for whoever called it."""


class ToolError(Exception):
    """A message that names what is wrong and, where that is known, what would help."""


def cannot(doing, path, error):
    """The `ToolError` for an `OSError`."""
    return ToolError(f"cannot {doing} {path}: {error.strerror or error}")
