"""An inventory to test with: a shop and a worker on one fleet, over three data hosts."""

from __future__ import annotations

from ansible_collections.slipway.stack.plugins.module_utils.topology.build import Inventory

SHOP = {
    "group": "shop",
    "kind": "http",
    "port": 3000,
    "instances": 2,
    "command": ["node", "server.js"],
    "server_names": ["shop.example.org"],
    "locations": [{"path": "/ws", "kind": "websocket"}],
    "database": True,
    "redis": True,
}
MAILER = {"group": "shop", "kind": "worker", "instances": 1, "command": ["python3", "worker.py"]}


def inventory(apps=None, groups=None, host_variables=None, **variables):
    groups = groups or {
        "edge": ["edge1"],
        "shop": ["app1", "app2"],
        "postgresql": ["data1"],
        "redis": ["data1", "data2", "data3"],
    }
    names = list(dict.fromkeys(name for members in groups.values() for name in members))
    addresses = {name: {"ansible_host": f"10.0.0.{index}"} for index, name in enumerate(names, 1)}
    for name, values in (host_variables or {}).items():
        addresses[name].update(values)
    apps = {"shop": SHOP, "mailer": MAILER} if apps is None else apps
    return Inventory({"all": names, **groups}, addresses, {"slipway_apps": apps, **variables})
