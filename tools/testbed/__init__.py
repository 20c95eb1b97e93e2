"""Systemd hosts in containers, made for tests and thrown away after them."""
