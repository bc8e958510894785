"""Write a file's bytes as a C array, so that a program needs no file beside it at run time."""

import sys
from pathlib import Path


def main() -> None:
    """Read the file named first; write the header named second, with the array named third."""
    source, header, name = sys.argv[1:]
    data = Path(source).read_bytes()
    rows = (data[start : start + 16] for start in range(0, len(data), 16))
    body = "\n".join("\t" + " ".join(f"{byte:#04x}," for byte in row) for row in rows)
    text = f"static const unsigned char {name}[] __attribute__((aligned(8))) = {{\n{body}\n}};\n"
    Path(header).write_text(text)


if __name__ == "__main__":
    main()
