"""Run a Milvus server in a folder until the standard input is closed, and print its port."""

from __future__ import annotations

import sys

from milvus import MilvusServer

SETTINGS = {
    "dataCoord.gc.interval": 2,
    "dataCoord.gc.dropTolerance": 2,
    "dataCoord.gc.missingTolerance": 2,
}
"""The settings with which files of dropped collections go within seconds."""

if __name__ == "__main__":
    server = MilvusServer()
    server.set_base_dir(sys.argv[1])
    for name, value in SETTINGS.items():
        server.config.set(name, value)
    server.start()
    try:
        sys.stdout.write(f"{server.listen_port}\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        server.stop()
