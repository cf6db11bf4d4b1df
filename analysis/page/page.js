// Sorts tables of numbers by a column. Without it every table stands as it was written.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], written = [...body.rows];
  table.querySelectorAll("thead tr > *").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    if (!button.textContent.trim()) button.textContent = "Name";
    head.append(button);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort || "none"];
      for (const other of head.parentNode.children) other.ariaSort = "none";
      head.ariaSort = next;
      body.append(...(next === "none" ? written : sorted(written, column, next === "descending")));
    });
  });
}

// Rows whose cell has no number come last in both directions; equal ones keep their order.
function sorted(rows, column, falling) {
  const keys = new Map(rows.map((row) => [row, row.cells[column].textContent.trim()]));
  const value = (row) => parseFloat(keys.get(row).replace(/^[<>]\s*/, "").replace(/,(?=\d{3})/g, ""));
  const numeric = rows.some((row) => !Number.isNaN(value(row))) && column > 0;
  const sign = falling ? -1 : 1;
  return [...rows].sort((a, b) => {
    if (!numeric) return sign * keys.get(a).localeCompare(keys.get(b));
    const [x, y] = [value(a), value(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  });
}
