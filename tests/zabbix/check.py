"""The templates of conf/zabbix in a real Zabbix that watches a real Keepframe. See
scripts/check-zabbix."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests" / "e2e"))
sys.path.insert(0, str(Path(__file__).parent))

from camera import Mount  # noqa: E402
from lab import Build, Lab  # noqa: E402
from waiting import wait_for  # noqa: E402
from zabbix import Zabbix  # noqa: E402

CONF = TREE / "conf" / "zabbix"
CAMERAS = ("yard", "door", "gate")
VICTIM = "gate"
WAIT_S = 300
# So that it does not take half an hour.
FAST = {"INTERVAL": "3s", "DISCOVERY.INTERVAL": "10s", "DOWN.TIME": "15s", "NOFRAMES.TIME": "30s"}
HOSTS = {"by-http": "Keepframe by HTTP", "by-agent": "Keepframe by Zabbix agent"}


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def start_zabbix(zabbix):
    say("making the database")
    zabbix.start_database(zabbix.make_database())
    wait_for("the database is ready", zabbix.database_is_ready, timeout=60)
    zabbix.load_schema()
    zabbix.start_server()
    zabbix.start_frontend()
    wait_for("the API answers", zabbix.login, timeout=60,
             context=lambda: zabbix.complaint)
    say(f"Zabbix {zabbix_version(zabbix)} answers")


def zabbix_version(zabbix):
    token, zabbix.token = zabbix.token, None
    version = zabbix.call("apiinfo.version", {})
    zabbix.token = token
    return version


def start_keepframe(lab):
    cameras = {name: lab.camera(Mount(name), name=f"camera-{name}") for name in CAMERAS}
    keepframe = lab.keepframe("keepframe")
    keepframe.configure({name: {"url": camera.url(name)} for name, camera in cameras.items()})
    keepframe.start().wait_ready()
    for name in CAMERAS:
        keepframe.wait_open(name)
    address = (keepframe.runtime / "webui.address").read_text().strip()
    say(f"Keepframe records {', '.join(CAMERAS)} at {address}")
    return keepframe, cameras, address


def import_templates(zabbix):
    for name in HOSTS:
        text = (CONF / f"keepframe-{name}.yaml").read_text()
        assert zabbix.import_template(text) is True
        assert zabbix.import_template(text) is True, "a second time, over itself"
        say(f"keepframe-{name}.yaml is imported, twice")


def make_hosts(zabbix, address):
    parameters = zabbix.folder / "userparameter_keepframe.conf"
    text = (CONF / "userparameter_keepframe.conf").read_text()
    parameters.write_text(text.replace("127.0.0.1:8080", address))
    port = zabbix.start_agent(parameters)
    (group,) = zabbix.call("hostgroup.create", {"name": "Recorders"})["groupids"]
    hosts = {}
    for name, template in HOSTS.items():
        (found,) = zabbix.call("template.get", {"filter": {"host": template}})
        macros = {**FAST, **({"URL": f"http://{address}"} if name == "by-http" else {})}
        (hosts[name],) = zabbix.call("host.create", {
            "host": name, "groups": [{"groupid": group}],
            "templates": [{"templateid": found["templateid"]}],
            "macros": [{"macro": "{$KEEPFRAME." + key + "}", "value": value}
                       for key, value in macros.items()],
            "interfaces": [{"type": 1, "main": 1, "useip": 1, "ip": "127.0.0.1", "dns": "",
                            "port": str(port)}]})["hostids"]
    say(f"hosts {', '.join(hosts)} are linked to their templates")
    return hosts


def items_of(zabbix, host):
    return zabbix.call("item.get", {
        "hostids": host, "output": ["key_", "name", "state", "error", "lastclock", "lastvalue",
                                    "history"]})


def wait_discovered(zabbix, host):
    def probe():
        zabbix.check_alive()
        keys = {item["key_"] for item in items_of(zabbix, host)}
        return all(f"keepframe.stream.up[{name},main]" in keys for name in CAMERAS) and any(
            key.startswith("keepframe.volume.free[") for key in keys)
    wait_for("every stream and volume is discovered", probe, timeout=WAIT_S)


def without_value(items):
    """Items that keep a history and have no value yet."""
    return [item for item in items if item["history"] != "0" and item["lastclock"] == "0"]


def wait_values(zabbix, host, name):
    def probe():
        zabbix.check_alive()
        left = without_value(items_of(zabbix, host))
        probe.left = [item["key_"] for item in left]
        return not left
    wait_for("all items have values", probe, timeout=WAIT_S,
             context=lambda: f"without: {probe.left}")
    items = items_of(zabbix, host)
    broken = [(item["key_"], item["error"]) for item in items if item["state"] != "0"]
    assert not broken, broken
    values = {item["key_"]: item["lastvalue"] for item in items}
    for camera in CAMERAS:
        assert values[f"keepframe.stream.up[{camera},main]"] == "1", camera
        assert values[f"keepframe.stream.state[{camera},main]"] == "recording"
        assert 20 < float(values[f"keepframe.stream.fps[{camera},main]"]) < 30
        assert int(values[f"keepframe.stream.bytes[{camera},main]"]) > 10_000
    say(f"{name}: {len(items)} items, all have values and none is unsupported")


def check_triggers(zabbix, host, name):
    triggers = zabbix.call("trigger.get", {"hostids": host, "output": ["description", "state",
                                                                       "error", "value"]})
    unknown = [(t["description"], t["error"]) for t in triggers if t["state"] != "0"]
    # What compares with the last hours can not be told in the first minutes.
    allowed = ("bit rate is far below", "will be full soon")
    unknown = [entry for entry in unknown if not any(word in entry[0] for word in allowed)]
    assert not unknown, unknown
    say(f"{name}: {len(triggers)} triggers, all can be computed")


def problems(zabbix, host):
    return {problem["name"] for problem in zabbix.call("problem.get", {"hostids": host})}


def check_camera_alarm(zabbix, hosts, camera):
    def raised(host):
        zabbix.check_alive()
        return next((name for name in problems(zabbix, host)
                     if name.startswith(f"{VICTIM}/main: is not recorded")), None)
    camera.kill()
    say(f"the camera {VICTIM} is killed")
    for name, host in hosts.items():
        problem = wait_for("the alarm is raised", lambda: raised(host), timeout=WAIT_S)
        say(f"{name}: raised: {problem}")
        assert "refused" in problem or "closed" in problem, problem
    others = [problem for host in hosts.values() for problem in problems(zabbix, host)
              if "is not recorded" in problem and not problem.startswith(VICTIM)]
    assert not others, others
    camera.start()
    say(f"the camera {VICTIM} is started again")
    for name, host in hosts.items():
        wait_for("the alarm is cleared", lambda: not raised(host), timeout=WAIT_S)
        say(f"{name}: cleared")


def check_dashboard(zabbix):
    for template in HOSTS.values():
        (found,) = zabbix.call("template.get", {"filter": {"host": template},
                                                "selectDashboards": ["name"]})
        (board,) = zabbix.call("templatedashboard.get", {
            "templateids": found["templateid"], "selectPages": "extend"})
        widgets = [widget["type"] for page in board["pages"] for widget in page["widgets"]]
        say(f"{template}: a dashboard of {len(board['pages'])} pages, {len(widgets)} widgets")


def check(zabbix, lab):
    start_zabbix(zabbix)
    _, cameras, address = start_keepframe(lab)
    import_templates(zabbix)
    hosts = make_hosts(zabbix, address)
    for name, host in hosts.items():
        wait_discovered(zabbix, host)
        say(f"{name}: every stream and volume is discovered")
    for name, host in hosts.items():
        wait_values(zabbix, host, name)
        check_triggers(zabbix, host, name)
    check_camera_alarm(zabbix, hosts, cameras[VICTIM])
    check_dashboard(zabbix)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit("interrupted"))
    folder = Path(tempfile.mkdtemp(prefix="kf-zabbix-"))
    folder.chmod(0o755)
    lab, zabbix = Lab(Build(arguments.build)), Zabbix(folder)
    failed = True
    try:
        check(zabbix, lab)
        failed = False
    finally:
        zabbix.stop()
        if failed:
            for log in sorted(zabbix.logs.glob("*.out")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}")
        shutil.rmtree(folder, ignore_errors=True)
        lab.close()
    say("proved; nothing of it runs any more")


main()
