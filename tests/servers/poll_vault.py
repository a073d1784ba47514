"""Polls a field of a secret in Vault or OpenBao (KV version 2) as an application does: the newest version.

Usage: poll_vault.py http MOUNT PATH FIELD     one HTTP request after the other
       poll_vault.py cli MOUNT PATH FIELD      one run of `bao kv get` after the other, KEYWARD_TEST_BAO

What it prints is described in watch.py. VAULT_ADDR and VAULT_TOKEN are in the environment.
"""

import http.client
import json
import os
import subprocess
import sys
import urllib.parse

from watch import NoValue, watch


class Refused(Exception):
    def __init__(self, code):
        self.code = code


def by_http(mount, path, field):
    server = urllib.parse.urlsplit(os.environ["VAULT_ADDR"])
    kind = http.client.HTTPSConnection if server.scheme == "https" else http.client.HTTPConnection
    connection = kind(server.hostname, server.port, timeout=10)
    headers = {"X-Vault-Token": os.environ["VAULT_TOKEN"]}

    def read():
        try:
            connection.request("GET", f"/v1/{mount}/data/{path}", headers=headers)
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        if reply.status == 404:
            raise NoValue
        if reply.status != 200:
            raise Refused(f"status {reply.status}")
        return json.loads(body)["data"]["data"][field]

    return read


def by_cli(mount, path, field):
    command = [os.environ["KEYWARD_TEST_BAO"], "kv", "get", "-format=json", f"-mount={mount}", path]

    def read():
        # In a session of its own: a signal that ends this reader must not look like an error of the command.
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True)
        if done.returncode == 2 and b"No value found" in done.stderr:
            raise NoValue
        if done.returncode != 0:
            raise Refused(f"exit {done.returncode}")
        data = json.loads(done.stdout)["data"]["data"]
        if data is None:
            raise NoValue
        return data[field]

    return read


if __name__ == "__main__":
    how, *where = sys.argv[1:]
    watch({"http": by_http, "cli": by_cli}[how](*where))
