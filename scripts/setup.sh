#!/bin/sh
# Builds the virtual environment and fetches what the machine lacks; says in one line what is degraded.
set -eu
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Tailorbird needs Python 3.11 or newer; $("$PYTHON" --version) was found. Try: make setup PYTHON=python3.12" >&2
    exit 1
}
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
"$VENV/bin/python" -m tailorbird.functions.setup
"$VENV/bin/python" -c 'import sys; from tailorbird.prepare import native; sys.exit(native.library() is None)' ||
    echo "No C compiler: prepare reads archives in Python, several times slower. Try: apt-get install gcc && $VENV/bin/pip install -e ."

# Old and other Python SDKs for the wire tests, each in a folder of its own: their modules clash.
for sdk in analytics-python==1.4.post1 rudder-sdk-python==2.1.9; do
    folder="$VENV/sdks/${sdk%%==*}"
    [ -d "$folder" ] || "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --target "$folder" "$sdk" ||
        echo "$sdk could not be had: its test will skip"
done

# JavaScript SDKs for the wire tests; without npm those tests skip.
if command -v npm >/dev/null 2>&1; then
    (cd tests/wire/node && npm install --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null) ||
        echo "The JavaScript SDKs could not be had: their tests will skip"
fi
