"""What was measured of one file, whatever it is read from."""

from dataclasses import dataclass, field

from wit_world.exports.code import Share


@dataclass
class Measured:
    path: str
    # How often the statement of a line was run.
    hits: dict = field(default_factory=dict)
    branches: int = 0
    branches_covered: int = 0
    missed_branches: list = field(default_factory=list)

    def lines(self):
        return Share(sum(map(bool, self.hits.values())), len(self.hits))

    def missed(self):
        """Pairs of the first and the last line of statements in a row that were not run, by line."""
        runs = []
        after_missed = False
        for line in sorted(self.hits):
            missed = not self.hits[line]
            if missed and after_missed:
                runs[-1][1] = line
            elif missed:
                runs.append([line, line])
            after_missed = missed
        return runs
