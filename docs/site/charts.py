# SPDX-License-Identifier: BSD-2-Clause
"""Bar charts of the benchmarks, as SVG, from what `./dev bench --ratios=F` writes."""
import json

STYLE = """<style>
text { font: 13px sans-serif; fill: #1b1f24; }
.value { font-size: 12px; fill: #57606a; }
.page { fill: #ffffff; }
.fairlead { fill: #2f6fb7; }
.peers { fill: #9bb0c6; }
.weaker, .floor { fill: none; stroke: #9bb0c6; stroke-dasharray: 3 2; }
.spread { stroke: #57606a; }
@media (prefers-color-scheme: dark) {
text { fill: #dfe3e8; }
.value { fill: #a3acb6; }
.page { fill: #131416; }
.fairlead { fill: #5a9be6; }
.peers { fill: #56687b; }
.weaker, .floor { stroke: #7f92a6; }
.spread { stroke: #c3cad2; }
}
</style>"""
LEFT, BAR, RIGHT, ROW = 150, 480, 170, 24  # columns of a chart, and the height of a row


def figure(x):
    """Three digits that mean something."""
    return f"{x:,.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def chart(entry):
    """One case: Fairlead, its peers, and what promises less, as dashed bars. A bar of more than eight times Fairlead's is cut."""
    bars = [("fairlead", "fairlead", entry["fairlead"])]
    bars += [(kind, name, value) for kind in ("peers", "weaker", "floor") for name, value in entry[kind].items() if value]
    bars.sort(key=lambda bar: (bar[0] in ("weaker", "floor"), bar[2] if entry["better"] == "lower" else -bar[2]))
    most = min(max(value for _, _, value in bars), 8 * max(entry["fairlead"], min(value for _, _, value in bars)))
    height = ROW * len(bars) + 8
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + BAR + RIGHT} {height}">',
             STYLE, f'<rect class="page" width="{LEFT + BAR + RIGHT}" height="{height}"/>']
    for row, (kind, name, value) in enumerate(bars):
        top, cut = 4 + ROW * row, value > most
        end = LEFT + BAR * min(value / most, 1)
        low, high = (LEFT + BAR * min(x / most, 1) for x in entry["spread"].get(name, (value, value)))
        lines += [f'<text x="{LEFT - 8}" y="{top + 16}" text-anchor="end">{name}</text>',
                  f'<rect class="{kind}" x="{LEFT}" y="{top + 3}" width="{end - LEFT:.1f}" height="{ROW - 6}"/>',
                  f'<path class="spread" d="M{low:.1f} {top + ROW / 2} H{high:.1f}"/>',
                  f'<text class="value" x="{max(end, high) + 6:.1f}" y="{top + 16}">{figure(value)} {entry["unit"]}{" (cut)" if cut else ""}</text>']
    return "\n".join([*lines, "</svg>"])


def charts(path):
    """(heading, file name, SVG) of each case in a file."""
    with open(path, encoding="utf-8") as file:
        for entry in json.load(file):
            threads = f", {entry['threads']} threads" if entry["threads"] > 1 else ""
            yield f"`{entry['family']}/{entry['case']}`{threads}", f"{entry['family']}-{entry['case']}-{entry['threads']}.svg", chart(entry)
