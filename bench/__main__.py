"""Runs the named benches, or all of them: each prints figures and ratios measured in one run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> None:
    known = sorted(file.stem for file in FOLDER.glob("*.py") if not file.stem.startswith("_"))
    wanted = [name.replace("-", "_") for name in sys.argv[1:]] or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"There is no bench {', '.join(unknown)}; there are {', '.join(known)}")
    for name in wanted:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"bench.{name}"], check=True)


if __name__ == "__main__":
    main()
