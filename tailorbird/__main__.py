"""`python -m tailorbird` and the `tailorbird` command."""

from tailorbird.cli import main

if __name__ == "__main__":
    main()
