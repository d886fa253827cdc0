"""Figure 10: mean IoU near object boundaries, before and after the CRF."""

from __future__ import annotations

from minideeplab.evaluation import Tally, scores
from minideeplab.experiments.outcome import Outcome, plot
from minideeplab.experiments.setup import Setup
from minideeplab.training import predictions

WIDTHS = (1, 2, 3, 4, 6, 8, 10, 15, 20, 25, 30, 40)  # pixels; the paper goes from 1 to 40
BEFORE, AFTER = "mean IoU, %", "with CRF, %"


def run(setup: Setup) -> Outcome:
    """Return the mean IoU of given weights in bands of several widths around boundaries."""
    net, around = setup.network(), "ignored"
    if setup.data.startswith("camvid"):  # its void labels are not object borders
        around = "boundaries"
    tallies = {}
    for column, crf in ((BEFORE, False), (AFTER, setup.crf())):
        tally = tallies[column] = Tally(net.num_classes, WIDTHS, around)
        for result in predictions(net, setup.validation_data, executor=setup.executor, crf=crf):
            tally.add(*result)
    rows = []
    for k, width in enumerate((*WIDTHS, None)):
        row = {"band, pixels": "whole image" if width is None else width}
        for column, tally in tallies.items():
            matrix = tally.confusion if width is None else tally.bands[k]
            row[column] = 100 * scores(matrix).mean_iou
        rows.append(row | {"CRF's gain, %": row[AFTER] - row[BEFORE]})
    figure, axes = plot("width of the band around the boundaries, pixels")
    for column in (BEFORE, AFTER):
        line = axes.plot(WIDTHS, [row[column] for row in rows[:-1]], "o-", markersize=4)
        axes.axhline(rows[-1][column], color=line[0].get_color(), linestyle=":", linewidth=1)
        line[0].set_label({BEFORE: "network", AFTER: "network and CRF"}[column])
    axes.legend(title="dotted: whole image", title_fontsize=8)
    notes = [
        f"{setup.data_note()}; bands start from the "
        + ("ignored pixels, as the authors'." if around == "ignored" else "labels' boundaries."),
        f"Network: weights {setup.weights_name!r}, one size.",
        setup.crf_note(),
    ]
    return Outcome("Mean IoU around boundaries (figure 10)", rows, figure, notes)
