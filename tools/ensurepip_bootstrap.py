"""Stands in for the get-pip script that ansible-test downloads: installs pip from this Python's own wheels.

Called with the packages to install; what pip itself does not know of the arguments is left out.
"""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: called in this one, ensurepip would hide the user's pip configuration from what follows.
subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
packages = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.run([sys.executable, "-m", "pip", "install", *packages], check=False).returncode)
