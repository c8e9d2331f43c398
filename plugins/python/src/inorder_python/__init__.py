"""What the tools do: `audit`, `coverage_report`, `program` and `suite` are one tool each, the others are what these use."""
