"""Tables of benchmarks."""


def print_table(head: list[str], lines: list[list[str]]) -> None:
    """Prints columns, the first to the left and the others to the right."""
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    for line in [head, *lines]:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join([line[0].ljust(widths[0]), *cells[1:]]))
    print(flush=True)
