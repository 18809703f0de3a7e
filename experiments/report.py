"""Draw a run's figures and write its report: `python -m experiments.report --workdir=...`."""

from experiments import launcher
from modularity_jax.report import write_report
from modularity_jax.report.findings import caveats, terminal_table
from modularity_jax.runs.cluster_files import with_p
from modularity_jax.runs.processes import Team
from modularity_jax.runs.tables import read_table
from modularity_jax.runs.workdir import Workdir


def main(workdir: Workdir, team: Team) -> None:
    """Write the report, and print the table and where the report is; one process does."""
    if not team.is_first:
        return
    page = write_report(workdir.path)
    rows = read_table(workdir.path, "clusterability.csv")
    print("\n".join([terminal_table(with_p(rows)), *caveats(rows)]))  # noqa: T201
    print(f"\nReport: {page}")  # noqa: T201


if __name__ == "__main__":
    launcher.launch(main)
