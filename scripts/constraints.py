"""Prints the exact versions of what is installed, names and versions only: `make constraints`."""

from __future__ import annotations

from importlib.metadata import distributions

OURS = {"tailorbird", "pip", "setuptools", "wheel"}


def main() -> None:
    found = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions()}
    for name in sorted(found.keys() - OURS):
        print(f"{name}=={found[name].split('+')[0]}")


if __name__ == "__main__":
    main()
