"""Where a call is: the directory that it starts in."""

import os

from wit_world.imports import preopens


def enter_root():
    """Makes the first root the working directory, by its own path.

    A guest that does nothing is in `/`, where relative paths mean the same files. But then `os.getcwd()` is none of the
    paths that other programs have for these files, such as the absolute ones in a `.coverage`.
    """
    for directory, name in preopens.get_directories():
        with directory:
            if name.startswith("/"):
                try:
                    os.chdir(name)
                except OSError:
                    # What is granted is only beneath it.
                    continue
                return
