"""A Zabbix of our own: database, server, frontend and agent in one folder, on loopback."""

import gzip
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
SCHEMA = Path("/usr/share/zabbix-server-pgsql")
FRONTEND = Path("/usr/share/zabbix")


def free_port():
    """A port that nobody has. Zabbix takes none above 32767, where the kernel's choice begins."""
    while True:
        port = random.randrange(20000, 32768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Zabbix:
    def __init__(self, folder):
        self.folder = folder
        self.database = folder / "database"
        self.logs = folder / "logs"
        self.processes = []
        # PostgreSQL and Zabbix refuse to run as root.
        self.user = "postgres" if os.getuid() == 0 else None
        self.server_port, self.web_port = free_port(), free_port()
        self.token = None
        self.complaint = ""
        for place in (self.database, self.logs):
            place.mkdir()
            if self.user:
                shutil.chown(place, self.user)

    def _run(self, *command, **options):
        return subprocess.run([str(word) for word in command], check=True, user=self.user,
                              cwd="/", capture_output=True, **options)

    def _start(self, name, *command, env=None):
        log = open(self.logs / f"{name}.out", "wb")
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, cwd="/", user=self.user,
                                   env={**os.environ, **(env or {})}, start_new_session=True)
        self.processes.append((name, process))
        return process

    def check_alive(self):
        for name, process in self.processes:
            if process.poll() is not None:
                tail = (self.logs / f"{name}.out").read_text(errors="replace")[-2000:]
                raise AssertionError(f"{name} ended with {process.returncode}\n{tail}")

    def stop(self):
        for name, process in reversed(self.processes):
            if process.poll() is None:
                # Of PostgreSQL: a fast shutdown.
                process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        for name, process in reversed(self.processes):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            try:
                os.killpg(process.pid, signal.SIGKILL)  # PHP leaves its workers behind
            except ProcessLookupError:
                pass
        self.processes = []

    # --- Database

    def make_database(self):
        data = self.database / "data"
        self._run(POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", "zabbix", "-E", "UTF8",
                  "--no-sync", "--locale=C.UTF-8")
        return data

    def start_database(self, data):
        self._start("postgres", POSTGRES / "postgres", "-D", data, "-k", self.database,
                    "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60")

    def database_is_ready(self):
        self.check_alive()
        return subprocess.run([str(POSTGRES / "pg_isready"), "-q", "-h", str(self.database)],
                              user=self.user).returncode == 0

    def load_schema(self):
        psql = (POSTGRES / "psql", "-q", "-h", self.database, "-U", "zabbix", "-v",
                "ON_ERROR_STOP=1")
        self._run(*psql, "-d", "postgres", "-c", "CREATE DATABASE zabbix")
        for name in ("schema", "images", "data"):
            text = gzip.decompress((SCHEMA / f"{name}.sql.gz").read_bytes())
            self._run(*psql, "-d", "zabbix", input=text)

    # --- Server, frontend, agent

    def start_server(self):
        path = self.folder / "zabbix_server.conf"
        path.write_text("\n".join([
            f"ListenIP=127.0.0.1\nListenPort={self.server_port}",
            f"DBHost={self.database}\nDBName=zabbix\nDBUser=zabbix",
            "LogType=console", f"PidFile={self.logs}/server.pid",
            f"SocketDir={self.logs}", "CacheUpdateFrequency=2", "HousekeepingFrequency=0",
            "StartPollers=3", "StartTrappers=2", "StartDiscoverers=1", "StartDBSyncers=1",
            "StartPollersUnreachable=1", "StartPingers=0", "Timeout=15",
        ]) + "\n")
        self._start("server", "/usr/sbin/zabbix_server", "-f", "-c", path)

    def start_frontend(self):
        root = self.folder / "frontend"
        shutil.copytree(FRONTEND, root, symlinks=False, ignore_dangling_symlinks=True,
                        ignore=shutil.ignore_patterns("zabbix.conf.php*"))
        settings = root / "conf" / "zabbix.conf.php"
        # Debian's frontend reads /etc/zabbix, which is not ours to write.
        reader = root / "include" / "classes" / "core" / "CConfigFile.php"
        reader.write_text(reader.read_text().replace("/etc/zabbix/zabbix.conf.php",
                                                     str(settings)))
        settings.write_text(f"""<?php
$DB['TYPE'] = 'POSTGRESQL'; $DB['SERVER'] = '{self.database}'; $DB['PORT'] = '0';
$DB['DATABASE'] = 'zabbix'; $DB['USER'] = 'zabbix'; $DB['PASSWORD'] = ''; $DB['SCHEMA'] = '';
$DB['ENCRYPTION'] = false; $DB['KEY_FILE'] = ''; $DB['CERT_FILE'] = ''; $DB['CA_FILE'] = '';
$DB['VERIFY_HOST'] = false; $DB['CIPHER_LIST'] = ''; $DB['VAULT_URL'] = '';
$DB['VAULT_DB_PATH'] = ''; $DB['VAULT_TOKEN'] = ''; $DB['DOUBLE_IEEE754'] = true;
$ZBX_SERVER = '127.0.0.1'; $ZBX_SERVER_PORT = '{self.server_port}'; $ZBX_SERVER_NAME = 'check';
$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
""")
        self._start("frontend", "php", "-d", "post_max_size=32M", "-d", "memory_limit=512M",
                    "-d", "max_execution_time=300", "-d", "max_input_time=300",
                    "-d", "date.timezone=UTC", "-d", f"session.save_path={self.logs}",
                    "-S", f"127.0.0.1:{self.web_port}", "-t", root,
                    env={"PHP_CLI_SERVER_WORKERS": "4"})

    def start_agent(self, parameters):
        """An agent with these UserParameters. Returns its port."""
        port = free_port()
        path = self.folder / "zabbix_agentd.conf"
        path.write_text(f"ListenIP=127.0.0.1\nListenPort={port}\nServer=127.0.0.1\n"
                        f"LogType=console\nPidFile={self.logs}/agent.pid\nTimeout=15\n"
                        f"Include={parameters}\n")
        self._start("agent", "/usr/sbin/zabbix_agentd", "-f", "-c", path)
        return port

    # --- The API

    def call(self, method, params):
        request = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        if self.token:
            request["auth"] = self.token
        answer = json.loads(urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{self.web_port}/api_jsonrpc.php", json.dumps(request).encode(),
            {"Content-Type": "application/json-rpc"}), timeout=300).read())
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def login(self):
        self.check_alive()
        time.sleep(1)  # it counts failed logins
        try:
            self.token = self.call("user.login", {"username": "Admin", "password": "zabbix"})
        except (OSError, AssertionError, ValueError) as error:
            self.complaint = str(error)
            return False
        return True

    def import_template(self, text):
        kinds = ("templates", "items", "discoveryRules", "triggers", "graphs", "valueMaps",
                 "templateDashboards")
        rules = {kind: {"createMissing": True, "updateExisting": True} for kind in kinds}
        rules["groups"] = {"createMissing": True, "updateExisting": False}
        return self.call("configuration.import", {"format": "yaml", "source": text,
                                                  "rules": rules})
