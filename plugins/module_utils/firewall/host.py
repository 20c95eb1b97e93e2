# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nft, systemd, and the files of the firewall on this host."""

from __future__ import annotations

import fcntl
import os
import pwd
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

from .model import FirewallError
from .plan import Boot, Current
from .render import REVERT_UNIT, TABLE, UNIT, restore
from .ssh import Session, has_key, key_files, keyless, parse_session, parse_settings

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]
"""Runs a program; returns its status, output and error output."""
Which = Callable[[str], Optional[str]]

# Both in one, since the empty network namespace is gone with the process: how this nft lists these very rules.
_TRIAL = 'nft -f "$1" && nft --stateless list table inet slipway'


class Host:
    """What is on this host, and the steps that change it. Raises FirewallError where a program refuses."""

    def __init__(self, run: Run, which: Which, rules_file: str, root: str = "/") -> None:
        self._run = run
        self._which = which
        top = Path(root)
        self.rules_file = top / rules_file.lstrip("/")
        self._unit_file = top / "etc/systemd/system" / UNIT
        self._enabled_link = self._unit_file.parent / "sysinit.target.wants" / UNIT
        # On a file system that a boot empties: with the former rules, nothing is pending any more.
        self._state = top / "run/slipway-firewall"
        self._former = self._state / "former.nft"
        self._tried = self._state / "tried.nft"
        self._session = self._state / "session"

    @property
    def nft(self) -> str | None:
        """The path of nft, or None before its package is installed."""
        return self._which("nft")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait for others that change the firewall, and keep them waiting."""
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self) -> Current:
        """What there is now."""
        boot = Boot(_text(self.rules_file), _text(self._unit_file), self._enabled_link.is_symlink())
        return Current(self._listing("--stateless"), boot, self._is_pending())

    def trial(self, script: str) -> str:
        """Load the rules in a network namespace of their own, and return how nft lists them there."""
        with tempfile.NamedTemporaryFile("w", prefix="slipway-", suffix=".nft") as file:
            file.write(script)
            file.flush()
            status, out, err = self._run(["unshare", "--net", "sh", "-c", _TRIAL, "sh", file.name])
        if status != 0:
            raise FirewallError(f"nft refuses the rules, and nothing was changed: {err.strip() or out.strip()}")
        return out

    def session(self) -> Session | None:
        """The SSH connection that this process was started over, or None.

        Looked for in the environments of the processes above this one: sudo drops it from its own children's.
        """
        pid = os.getpid()
        while pid > 1:
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
            except OSError:
                return None
            known = dict(variable.decode(errors="replace").partition("=")[::2] for variable in variables)
            if "SSH_CONNECTION" in known:
                return parse_session(known["SSH_CONNECTION"], known.get("USER", ""))
            pid = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))
        return None

    def keyless(self, session: Session) -> str | None:
        """Why the user of this connection could not log in anew, or None, also where sshd can't be asked."""
        sshd = self._which("sshd")
        try:
            home = pwd.getpwnam(session.user).pw_dir
        except KeyError:
            return None
        if sshd is None:
            return None
        who = f"user={session.user},host={session.client},addr={session.client}"
        status, out, _err = self._run([sshd, "-T", "-C", f"{who},laddr={session.server},lport={session.server_port}"])
        if status != 0:
            return None
        settings = parse_settings(out)
        files = key_files(settings, session.user, home)
        return keyless(settings, session.user, files, any(has_key(_text(Path(file)) or "") for file in files))

    @property
    def tried(self) -> bool:
        """Whether rules were tried that nobody confirmed, be it that they run or that the timer took them back."""
        return self._tried.exists()

    def tried_over(self) -> Session | None:
        """The SSH connection over which rules were tried."""
        return parse_session(_text(self._session) or "")

    def attempt(self, script: str, seconds: int, session: Session | None) -> None:
        """Set the timer that takes the rules back after ``seconds``, then load them."""
        nft = self._required("nft")
        _write(self._former, restore(self._listing()), 0o600)
        self._call([nft, "-c", "-f", str(self._former)], "the former rules could not be kept, and nothing was changed")
        _write(self._session, "" if session is None else str(session), 0o600)
        _write(self._tried, script, 0o600)
        # A unit of that name which failed would be in the way.
        self._run(["systemctl", "reset-failed", "--quiet", f"{REVERT_UNIT}.service", f"{REVERT_UNIT}.timer"])
        timer = ["systemd-run", "--quiet", "--collect", f"--unit={REVERT_UNIT}", f"--on-active={seconds}"]
        timer += ["--timer-property=AccuracySec=100ms", "--description=Take back unconfirmed rules of the firewall"]
        self._call([*timer, nft, "-f", str(self._former)], "the timer that takes the rules back could not be set")
        try:
            self._call([nft, "-f", str(self._tried)], "the rules were not loaded")
        except FirewallError:
            self.settle()
            raise

    def revert(self) -> None:
        """Take back what was tried, where the timer has not yet."""
        # Before the timer is stopped: until they are back, it has to run.
        if self._is_pending():
            self._call([self._required("nft"), "-f", str(self._former)], "the former rules were not loaded")
        self.settle()

    def keep(self) -> str | None:
        """Stop the timer, and return the rules that run then. None: it was too late, the former ones are back."""
        tried = _text(self._tried)
        self._stop_timer()
        return tried if tried is not None and self._listing("--stateless") == self.trial(tried) else None

    def write_boot(self, boot: Boot) -> None:
        """Write what is loaded at boot, and have systemd take it."""
        if boot.rules is None or boot.unit is None:
            raise FirewallError("there are no rules to boot with")
        _write(self.rules_file, boot.rules, 0o600)
        _write(self._unit_file, boot.unit, 0o644)
        self._call(["systemctl", "daemon-reload"], "systemd did not take the unit")
        self._call(["systemctl", "enable", "--quiet", UNIT], "the unit was not enabled")
        # Loads the same rules once more, so that its state is told as it is.
        self._call(["systemctl", "restart", UNIT], "the unit did not load the rules")

    def settle(self) -> None:
        """Forget what was tried."""
        self._stop_timer()
        for file in (self._tried, self._session, self._former):
            file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take the firewall from the host, now and for every boot."""
        self._stop_timer()
        if self._enabled_link.is_symlink() or self._unit_file.exists():
            self._call(["systemctl", "disable", "--quiet", "--now", UNIT], "the unit was not disabled")
        self._unit_file.unlink(missing_ok=True)
        self.rules_file.unlink(missing_ok=True)
        self._call(["systemctl", "daemon-reload"], "systemd did not take the removal of the unit")
        if self.nft:
            # Adding it first makes the deletion work where it is not there.
            self._call([self.nft, f"table {TABLE}; delete table {TABLE}"], f"the table {TABLE} was not removed")
        self.settle()

    def _listing(self, *flags: str) -> str | None:
        if not self.nft:
            return None
        status, out, _err = self._run([self.nft, *flags, "list", "table", *TABLE.split()])
        return out if status == 0 else None

    def _is_pending(self) -> bool:
        units = (f"{REVERT_UNIT}.timer", f"{REVERT_UNIT}.service")
        return any(self._run(["systemctl", "is-active", "--quiet", unit])[0] == 0 for unit in units)

    def _stop_timer(self) -> None:
        """The service is stopped too, lest it is just loading the former rules."""
        if self._is_pending():
            self._run(["systemctl", "stop", f"{REVERT_UNIT}.timer", f"{REVERT_UNIT}.service"])

    def _required(self, program: str) -> str:
        path = self._which(program)
        if path is None:
            raise FirewallError(f"{program} is not there; install the package nftables")
        return path

    def _call(self, command: Sequence[str], failed: str) -> str:
        status, out, err = self._run(command)
        if status != 0:
            raise FirewallError(f"{failed}: {' '.join(command)}: {err.strip() or out.strip()}")
        return out


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(path: Path, text: str, mode: int) -> None:
    """Replace the file by rename, on disk before it counts."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".slipway-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)
    Path(name).replace(path)
