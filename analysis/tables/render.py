"""Tables as text: CSV at full precision, Markdown, LaTeX (booktabs), and a plain grid for the terminal."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pandas as pd

from analysis.results.names import printable
from analysis.tables.spreadsheet import csv
from analysis.tables.table import Table

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
        "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$",
        "†": r"\dag{}", "‡": r"\ddag{}", "|": r"$|$", "–": "--",
        "±": r"$\pm$", "≤": r"$\le$", "≥": r"$\ge$", "×": r"$\times$", "ρ": r"$\rho$",
    }
)  # fmt: skip


GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)  # fmt: skip
GREEK_CAPITALS = (
    "gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "phi", "psi", "omega",
)  # fmt: skip
"""Greek capitals that look unlike a Latin letter, and so have a LaTeX command."""


def latex_escaped(text: str) -> str:
    """Escape text so that LaTeX prints it as it stands; a hyphen before a number becomes a minus sign."""
    escaped = "".join(map(_latex_letter, text.translate(_LATEX)))
    return re.sub(r"(^|[\[ ])-(?=\d)", r"\1$-$", escaped)


def _latex_letter(character: str) -> str:
    """A letter of the Latin alphabets as it is, a Greek one by its command, any other by its number: pdflatex
    stops at letters that its fonts lack."""
    if character < "\u0180" and character.isprintable():
        return character
    name = unicodedata.name(character, "")
    if found := re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", name):
        command = found[2].lower().replace("lamda", "lambda")
        if found[1] == "SMALL" and command in GREEK:
            return rf"$\{command}$"
        if found[1] == "CAPITAL" and command in GREEK_CAPITALS:
            return rf"$\{command.capitalize()}$"
    return f"[U+{ord(character):04X}]"


def _latex_cell(text: str) -> str:
    """An interval stands below its value, which halves the width of a table."""
    two = r"\\shortstack[r]{\1\\\\{\\scriptsize \2\3}}"
    return re.sub(r"^([^\[]+) (\[[^\]]*\])(.*)$", two, latex_escaped(text))


def markdown(table: Table) -> str:
    """Render a table as Markdown, one GitHub table per panel, notes below."""
    lines = [f"## {table.title}", ""]
    for head, panel in table.panels:
        lines += [f"**{_named(head)}**", ""] if head else []
        lines.append("| | " + " | ".join(map(_cell, panel.columns)) + " |")
        lines.append("|---|" + "---|" * panel.shape[1])
        lines += [f"| {_named(label)} | " + " | ".join(map(_cell, row)) + " |" for label, row in _rows(panel)]
        lines.append("")
    return "\n".join([*lines, *(f"- {_named(note)}" for note in [*table.cautions, *table.notes]), ""])


def _named(text: str) -> str:
    """Text that holds names people chose, which Markdown must not take for its own signs."""
    return re.sub(r"([\\`*<$|])", r"\\\1", text).replace("\n", " ")


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _rows(panel: pd.DataFrame) -> list[tuple[str, list[str]]]:
    return [(str(i), [str(v) for v in row]) for i, row in zip(panel.index, panel.to_numpy(), strict=True)]


def latex(table: Table) -> str:
    """Render a table as a LaTeX ``table*``, each panel under a spanner; needs booktabs and graphicx. A table
    of running text is a ``longtable``, which needs longtable and array too.
    """
    if not table.panels:
        return f"% {table.title}: nothing to show\n"
    if table.widths:
        return _long_latex(table)
    columns = [str(c) for c in table.panels[0][1].columns]
    width = max(panel.shape[1] for _, panel in table.panels) + 1
    lines = [
        r"\begin{table*}[t]", r"\centering", rf"\caption{{{latex_escaped(table.title)}.}}",
        rf"\label{{tab:{table.name}}}", r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}", r"\toprule",
        " & ".join(["", *map(_latex_cell, columns)]) + r" \\",
    ]  # fmt: skip
    for head, panel in table.panels:
        lines.append(r"\midrule")
        if head:
            lines += [
                rf"\multicolumn{{{width}}}{{c}}{{{latex_escaped(head)}}} \\",
                rf"\cmidrule{{1-{width}}}",
            ]
        own = [str(c) for c in panel.columns]
        if own != columns:  # studies of different primary metrics
            lines.append(" & ".join(["", *map(_latex_cell, own)]) + r" \\")
        columns = own
        lines += [
            " & ".join([latex_escaped(label), *map(_latex_cell, row)]) + r" \\[3pt]"
            for label, row in _rows(panel)
        ]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [
        rf"\par\smallskip\raggedright\footnotesize {latex_escaped(note)}"
        for note in [*table.cautions, *table.notes]
    ]
    return "\n".join([*lines, r"\end{table*}", ""])


def _long_latex(table: Table) -> str:
    """Render a table of running text over as many pages as it takes, with its head on each."""
    column = r">{\raggedright\arraybackslash}p{\dimexpr%g\linewidth-2\tabcolsep\relax}"
    columns = "".join(column % width for width in table.widths)
    panel = table.panels[0][1]
    lines = [
        r"{\footnotesize", rf"\begin{{longtable}}{{{columns}}}",
        rf"\caption{{{latex_escaped(table.title)}.}}\label{{tab:{table.name}}}\\", r"\toprule",
        " & ".join(["", *(latex_escaped(str(c)) for c in panel.columns)]) + r" \\",
        r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot",
    ]  # fmt: skip
    for head, panel in table.panels:
        lines += [rf"\multicolumn{{{len(table.widths)}}}{{l}}{{{latex_escaped(head)}}} \\"] if head else []
        lines += [" & ".join(map(latex_escaped, [label, *row])) + r" \\" for label, row in _rows(panel)]
    lines.append(r"\end{longtable}")
    lines += [rf"\noindent {latex_escaped(note)}\par" for note in [*table.cautions, *table.notes]]
    return "\n".join([*lines, "}", ""])


def plain(table: Table) -> str:
    """Render a table in aligned columns for the terminal, with what its marks mean."""
    lines = []
    for head, panel in table.panels:
        grid = [["", *map(str, panel.columns)], *([label, *row] for label, row in _rows(panel))]
        widths = [max(len(row[i]) for row in grid) for i in range(len(grid[0]))]
        lines += [
            head,
            *("  ".join(v.ljust(w) for v, w in zip(r, widths, strict=True)).rstrip() for r in grid),
            "",
        ]
    lines += [*table.cautions, ""] if table.cautions else []
    return printable("\n".join(lines))


def write_table(table: Table, folder: Path) -> None:
    """Write a table as NAME.csv (full precision), NAME.md and NAME.tex.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{table.name}.csv").write_text(csv(table.data), encoding="utf-8")
    (folder / f"{table.name}.md").write_text(markdown(table), encoding="utf-8")
    (folder / f"{table.name}.tex").write_text(latex(table), encoding="utf-8")
