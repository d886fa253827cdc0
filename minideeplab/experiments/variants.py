"""Table 3: LargeFOV, ASPP-S and ASPP-L, before and after the CRF."""

from __future__ import annotations

from minideeplab.experiments.net import FIELD_NOTE, field_of_view, full_parameters
from minideeplab.experiments.outcome import Outcome, bars
from minideeplab.experiments.setup import Setup
from minideeplab.models.deeplab import VARIANTS

#: Mean IoU on VOC 2012 val in per cent, before and after the CRF.
PAPER = {"largefov": (65.76, 69.84), "aspp-s": (66.98, 69.73), "aspp-l": (68.96, 71.57)}
BEFORE, AFTER = "mean IoU, %", "with CRF, %"


def run(setup: Setup) -> Outcome:
    """Return the mean IoU of the three heads, trained alike, before and after the CRF."""
    rows = []
    for name, shape in VARIANTS.items():
        net, _ = setup.trained(name, shape)
        before, after = setup.mean_iou(net), setup.mean_iou(net, crf=setup.crf())
        rows.append(
            {
                "head": name,
                "rates": " ".join(map(str, shape.rates)),
                "field of view": field_of_view(shape),
                "parameters here": sum(p.size for p in net.parameters()),
                "VGG-16, full width": full_parameters(shape),
                BEFORE: before,
                AFTER: after,
                "CRF's gain, %": after - before,
                "paper, VOC, %": PAPER[name][0],
                "paper with CRF, %": PAPER[name][1],
            }
        )
    title = "LargeFOV, ASPP-S and ASPP-L before and after the CRF (table 3)"
    notes = [*setup.notes(), setup.crf_note(), FIELD_NOTE]
    return Outcome(title, rows, bars(rows, "head", (BEFORE, AFTER)), notes)
