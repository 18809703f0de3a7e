"""What a sub-module costs against its size."""

from modularity_jax.report.figures.style import Drawings, Drawn, new_figure
from modularity_jax.report.figures.submodules import colour_of, lost_points, taxonomy_legend
from modularity_jax.report.frames import Run
from modularity_jax.report.prose import say


def draw(run: Run) -> Drawings:
    """Change of accuracy against the share of the layer that is damaged, coloured by the study's taxonomy."""
    rows = run.lesions
    if rows.empty:
        return
    networks = f"{say('phase_name', rows['phase'].max())} networks, all seeds"
    figure = new_figure(10, 4.6, f"What a sub-module costs against its size ({networks})")
    panels = figure.subplots(1, 2, sharey=True)
    titles = {"taxonomy": "by the study's p", "taxonomy_adjusted": "by p corrected for the number of sub-modules"}
    for axes, (column, title) in zip(panels, titles.items(), strict=True):
        for share, diff, taxonomy in zip(rows["share"], rows["diff"], rows[column], strict=True):
            axes.scatter(share, 100 * diff, s=30, color=colour_of(taxonomy), edgecolors="white", linewidths=0.5)
        axes.set(title=title, xlabel="share of the layer's live neurons", xlim=(0, None))
        lost_points(axes)
    panels[0].set_ylabel("change of test accuracy (percentage points)")
    handles = taxonomy_legend(rows["taxonomy"], rows["taxonomy_adjusted"])
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    yield Drawn(
        figure,
        "Change of test accuracy against the share of its layer that a sub-module takes, coloured by the study's "
        "words.",
        "If only size mattered, dots would fall along one curve; important sub-modules lie below it. At the right, p "
        "is corrected for the number of sub-modules of a network.",
    )
