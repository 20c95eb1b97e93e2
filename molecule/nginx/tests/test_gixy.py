"""The configuration as nginx reads it, judged by gixy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_gixy_finds_nothing(host, tmp_path):
    dump = tmp_path / "nginx.conf"
    dump.write_text(host.check_output("nginx -T 2>/dev/null"))
    assert "slipway/applications/pages.conf" in dump.read_text()
    program = Path(sys.executable).with_name("gixy")
    judged = subprocess.run([program, str(dump)], capture_output=True, text=True)
    assert judged.returncode == 0, judged.stdout
    assert "slipway" not in judged.stderr, judged.stderr
