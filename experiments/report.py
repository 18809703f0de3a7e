"""Draw a run's figures and write its report: `python -m experiments.report --workdir=...`."""

from experiments import launcher
from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.workdir import Workdir


def main(workdir: Workdir) -> None:
    """Write the report, and print the table and where the report is; one process does."""
    told_by_first(lambda: _write(workdir))


def _write(workdir: Workdir) -> None:
    # Here, lest every launcher wait for pandas.
    from modularity_jax.report.findings import find
    from modularity_jax.report.frames import read_run
    from modularity_jax.report.terminal import terminal_table
    from modularity_jax.report.write import write_page

    run = read_run(workdir.path)
    found = find(run)
    page = write_page(run, found)
    print("\n".join([terminal_table(found.compared), *found.caveats]))  # noqa: T201
    print(f"\nReport: {page}")  # noqa: T201


if __name__ == "__main__":
    launcher.launch(main)
