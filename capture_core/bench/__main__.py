"""Print every table: `make bench`."""

import sys

from fieldlab import LabError

from capture_core.bench import capture, generate

try:
    capture.main()
    sys.stdout.write("\n")
    generate.main()
except LabError as error:
    sys.exit(f"bench: {error}")
