"""The tools that wit/my-tools.wit exports, one method each."""

import wit_world
from componentize_py_types import Err
from wit_world import Counts


class WitWorld(wit_world.WitWorld):
    def word_count(self, path: str) -> Counts:
        try:
            with open(path, "rb") as file:
                text = file.read()
        except (OSError, ValueError) as error:
            # Raising Err is how a tool fails with the error of its result<.., string>. A NUL in a path is a ValueError.
            raise Err(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error
        return Counts(lines=text.count(b"\n"), words=len(text.split()), bytes=len(text))

    def greet(self, name: str) -> str:
        return f"Hello {name}!"
