"""Images of test hosts: the official Debian image, or one bootstrapped here, plus what a test host needs."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import docker
import requests
from docker.errors import APIError, BuildError, DockerException, ImageNotFound
from docker.models.images import Image

from . import labels
from .engine import install_package
from .errors import BedError
from .machine import PackageSetup, of_release, render_deb822
from .report import say
from .state import FILES

REPOSITORY = "slipway-testbed"
BASE_REPOSITORY = "slipway-testbed-base"
OFFICIAL = "debian"
# The longest silence of the registry before the image is bootstrapped instead.
PULL_SILENCE_SECONDS = 5
# The longest silence of the engine while it builds or imports, and the longest a bootstrap may take.
BUILD_SECONDS = 900
PACKAGES = [
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "iputils-ping",
    "less",
    "libpam-systemd",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "rsync",
    "sudo",
    "systemd",
    "systemd-sysv",
]
_SOURCES = "etc/apt/sources.list.d/debian.sources"
_SETTINGS = "etc/apt/apt.conf.d/50testbed-machine"


class Images:
    """Makes images on demand. Remembers for the run that the registry can not be reached."""

    def __init__(self, client: docker.DockerClient, setup: PackageSetup) -> None:
        self._client = client
        self._patient = docker.from_env(timeout=BUILD_SECONDS)
        self._setup = setup
        self._registry_failure = ""

    def ensure(self, release: str) -> str:
        """Return the tag of the image for a release; build it where it does not exist yet."""
        files = recipe(release, self._setup)
        tag = f"{REPOSITORY}:{release}-{fingerprint(files)}"
        try:
            self._client.images.get(tag)
            return tag
        except ImageNotFound:
            pass
        base = self._base(release)
        say(f"Building {tag} from {base}")
        proxy = {"http_proxy": self._setup.proxy} if self._setup.proxy else {}
        try:
            self._patient.images.build(
                fileobj=_archive(files),
                custom_context=True,
                tag=tag,
                rm=True,
                forcerm=True,
                labels={labels.OURS: "1", labels.RELEASE: release},
                buildargs={"BASE": base, "PACKAGES": " ".join(PACKAGES), **proxy},
            )
        except BuildError as error:
            log = "".join(str(line.get("stream", "")) for line in error.build_log)
            raise BedError(f"Building the image for {release} failed: {error.msg}\n{log[-3000:]}") from error
        except requests.exceptions.RequestException as error:
            raise BedError(f"Building the image for {release} failed: the Docker Engine said: {error}") from error
        say(f"Built {tag}")
        self._remove_older(release, tag)
        return tag

    def _base(self, release: str) -> str:
        """Return the image to build upon: the official one where a registry answers."""
        bootstrapped = f"{BASE_REPOSITORY}:{release}"
        for tag in (f"{OFFICIAL}:{release}", bootstrapped):
            try:
                self._client.images.get(tag)
                return tag
            except ImageNotFound:
                continue
        if not self._registry_failure:
            self._registry_failure = self._pull(release)
            if not self._registry_failure:
                return f"{OFFICIAL}:{release}"
            say(f"Can not pull {OFFICIAL}:{release} ({self._registry_failure}): bootstrapping instead")
        self._bootstrap(release)
        return bootstrapped

    def _pull(self, release: str) -> str:
        """Pull the official image. Return "" or why that failed."""
        say(f"Pulling {OFFICIAL}:{release}")
        try:
            impatient = docker.from_env(timeout=PULL_SILENCE_SECONDS)
            for event in impatient.api.pull(OFFICIAL, tag=release, stream=True, decode=True):
                if "error" in event:
                    return _first_line(event["error"])
            self._client.images.get(f"{OFFICIAL}:{release}")
        except (DockerException, requests.exceptions.RequestException) as error:
            return _first_line(getattr(error, "explanation", None) or str(error))
        return ""

    def _bootstrap(self, release: str) -> None:
        if shutil.which("mmdebstrap") is None:
            if shutil.which("apt-get") is None:
                raise BedError(
                    f"The image {OFFICIAL}:{release} can not be pulled ({self._registry_failure}), and only Debian "
                    "and Ubuntu can bootstrap one. Make the registry reachable, or load the image by hand."
                )
            install_package("mmdebstrap")
        sources = of_release(self._setup.sources, self._setup.codename, release)
        with tempfile.TemporaryDirectory(prefix="slipway-testbed-") as folder:
            archive = Path(folder) / "base.tar"
            command = ["mmdebstrap", "--variant=apt", f"--aptopt={self._setup.settings}"]
            if self._setup.proxy:
                command.append(f'--aptopt=Acquire::http::Proxy "{self._setup.proxy}";')
            command += [release, str(archive)]
            if sources:
                listed = Path(folder) / "debian.sources"
                listed.write_text(render_deb822(sources))
                command.append(str(listed))
            try:
                result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise BedError(f"`{' '.join(command)}` did not end within {BUILD_SECONDS} s.") from error
            if result.returncode != 0:
                raise BedError(f"`{' '.join(command)}` failed:\n{result.stderr[-3000:]}")
            try:
                with open(archive, "rb") as data:
                    self._patient.api.import_image_from_data(data, repository=BASE_REPOSITORY, tag=release)
            except requests.exceptions.RequestException as error:
                raise BedError(f"Importing the base for {release} failed: the Docker Engine said: {error}") from error
        say(f"Bootstrapped {BASE_REPOSITORY}:{release}")

    def _remove_older(self, release: str, current: str) -> None:
        for image in self._client.images.list(filters={"label": [f"{labels.RELEASE}={release}"]}):
            if current not in image.tags:
                try:
                    self._client.images.remove(image.id)
                except APIError:
                    # Hosts of another fleet still run from it.
                    continue


def remove_all(client: docker.DockerClient) -> None:
    """Remove every image the test bed made. The official images stay: they may be used elsewhere."""
    for repository in (REPOSITORY, BASE_REPOSITORY):
        for found in client.images.list(name=repository):
            _remove_with_leftovers(client, found)
            say(f"Removed image {', '.join(found.tags)}")


def _remove_with_leftovers(client: docker.DockerClient, image: Image) -> None:
    """Remove an image, and before it what a build that was cut short left on top of it."""
    for other in client.images.list(all=True):
        if other.attrs.get("Parent") == image.id and not other.tags:
            _remove_with_leftovers(client, other)
    client.images.remove(image.id, force=True)


def recipe(release: str, setup: PackageSetup) -> dict[str, bytes]:
    """Return the files of the build: all that decides what is in the image, but for the base."""
    files = {
        str(path.relative_to(FILES)): path.read_bytes()
        for path in sorted(FILES.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    sources = of_release(setup.sources, setup.codename, release)
    if sources:
        files[f"image/{_SOURCES}"] = render_deb822(sources).encode()
        files["image/etc/apt/sources.list"] = b""
    if setup.settings:
        files[f"image/{_SETTINGS}"] = setup.settings.encode()
    for name, text in setup.certificates.items():
        files[f"image/usr/local/share/ca-certificates/{name}"] = text.encode()
    return files


def fingerprint(files: dict[str, bytes]) -> str:
    """Return a short hash of a recipe."""
    digest = hashlib.sha256(" ".join(PACKAGES).encode())
    for name, content in sorted(files.items()):
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def _archive(files: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755 if "/sbin/" in name else 0o644
            archive.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def _first_line(text: object) -> str:
    return (str(text).strip().splitlines() or ["no reason given"])[0]
