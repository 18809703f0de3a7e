"""How far the partitionings of a network agree, layer by layer."""

from matplotlib import colormaps
from matplotlib.colors import to_hex

from modularity_jax.report.figures.style import Drawings, Drawn, new_figure, write_on
from modularity_jax.report.findings.specialisation import agreements
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """A square for each two partitionings."""
    if run.partitionings.empty:
        return
    found = agreements(run)
    if len(found) < 2:
        return
    figure = new_figure(2.6 + 0.95 * len(found), 1.6 + 0.8 * len(found), "Agreement of partitionings")
    axes = figure.subplots()
    axes.imshow(found.to_numpy(float), vmin=0, vmax=1, cmap="Blues")
    for row, column in ((a, b) for a in range(len(found)) for b in range(len(found))):
        value = float(found.iloc[row, column])
        write_on(axes, column, row, f"{value:.2f}", to_hex(colormaps["Blues"](max(value, 0.0))), 9)
    axes.set_xticks(range(len(found)), [name.replace(", ", "\n") for name in found], fontsize=8)
    axes.set_yticks(range(len(found)), list(found.index), fontsize=8)
    axes.grid(visible=False)
    yield Drawn(
        figure,
        "Adjusted Rand index of two partitionings of a hidden layer, mean over layers and networks.",
        "1 is the same partition, 0 what chance gives.",
    )
