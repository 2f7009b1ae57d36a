"""What Zabbix asks, its templates and the agent's parameters, held against a running Keepframe."""

import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest
import yaml

CONF = Path(__file__).resolve().parents[2] / "conf" / "zabbix"
TEMPLATES = ("keepframe-by-http.yaml", "keepframe-by-agent.yaml")
CAMERAS = {"avc", "bframes", "hevc", "silent", "live"}
# Measured once a minute; a reload that no test of this file makes.
NOT_YET = {"$.resident_bytes"}


# --- The answers

def test_every_stream_is_discovered(recording):
    answer = recording.keepframe.get("/zabbix/discovery").expect(200).json
    assert answer == [{"{#CAMERA}": name, "{#STREAM}": "main"} for name in sorted(CAMERAS)]
    old = recording.keepframe.get("/cameras.json").expect(200).json
    assert old == {"data": [{"{#CAMERA}": name} for name in sorted(CAMERAS)]}


def test_items_say_what_is_on_disk(recording):
    keepframe = recording.keepframe
    answer = keepframe.get("/zabbix/items").expect(200).json
    assert "null" not in keepframe.get("/zabbix/items").body.decode()
    daemon = answer["daemon"]
    assert (daemon["supervisor_up"], daemon["indexer_up"]) == (1, 1)
    assert (daemon["streams_up"], daemon["streams_down"]) == (1, 0)
    for name in CAMERAS:
        stream = answer["streams"][f"{name}/main"]
        is_live = int(name == "live")
        assert (stream["enabled"], stream["up"]) == (is_live, is_live)
        assert stream["state"] == ("recording" if is_live else "off")
        rows = keepframe.sealed(name)
        assert stream["oldest"] == pytest.approx(rows[0].start_us / 1e6, abs=1e-5)
        assert stream["retain_seconds"] == 30 * 86400
        frames = sum(row.track("video")["samples"] for row in rows)
        if not is_live:
            assert stream["frames"] == frames
            assert stream["footage_bytes"] == sum(row.bytes for row in rows)
            assert (stream["restarts"], stream["gap_seconds"]) == (0, 0), "it was planned"
            assert stream["last_reason"] == "disabled"
    (volume,) = answer["volumes"]
    assert volume["path"] == str(keepframe.video) and volume["writable"] == 1


def test_the_addresses_of_cameraleech_give_bare_numbers(recording):
    keepframe = recording.keepframe
    for name in CAMERAS - {"live"}:
        stream = keepframe.get("/zabbix/items").json["streams"][f"{name}/main"]

        def figure(word):
            answer = keepframe.get(f"/camera/{name}/{word}").expect(200)
            assert answer.headers["Content-Type"].startswith("text/plain")
            return answer.body.decode()
        assert figure("frame") == str(stream["frames"])
        keepframe.wait_for("the rate has come down", lambda: figure("fps") == "0.000000")
        assert [figure(word) for word in ("bitrate", "outtime", "dupframes", "dropframes")] == [
            "0", "0", "0", "0"]
    live = {word: keepframe.get(f"/camera/live/{word}").expect(200).body.decode()
            for word in ("frame", "fps", "bitrate", "outtime")}
    assert re.fullmatch(r"2[0-9]\.[0-9]{6}", live["fps"])
    seconds = int(live["outtime"])
    assert seconds > 20 and abs(int(live["frame"]) - 25 * seconds) < 100
    rows = keepframe.sealed("live")
    size = sum(row.bytes for row in rows) * 8 / 1000
    length = (rows[-1].end_us - rows[0].start_us) / 1e6
    assert int(live["bitrate"]) == pytest.approx(size / length, rel=0.5)
    for path in ("/camera/nobody/frame", "/camera/live/frames", "/camera/live", "/camera/live/"):
        keepframe.get(path).expect(404)


# --- The templates

@pytest.fixture(params=TEMPLATES)
def template(request):
    return Template(request.param)


class Template:
    def __init__(self, name):
        export = yaml.safe_load((CONF / name).read_text())["zabbix_export"]
        assert export["version"] == "6.0"
        (self.tree,) = export["templates"]
        self.export = export
        self.name = self.tree["template"]
        self.rules = self.tree["discovery_rules"]
        self.items = [*self.tree["items"],
                      *(item for rule in self.rules for item in rule["item_prototypes"])]
        self.keys = [item["key"] for item in self.items]
        self.triggers = [*all_of(self.export, "triggers"),
                         *all_of(self.export, "trigger_prototypes")]
        self.graphs = [*all_of(self.export, "graphs"), *all_of(self.export, "graph_prototypes")]

    def referenced(self, text):
        """The keys that an expression names, by Zabbix's own form /HOST/KEY."""
        found = re.findall(rf"/(?:{re.escape(self.name)})?/([a-z_.]+(?:\[[^\]]*\])?)", text)
        assert text.count(f"/{self.name}/") + text.count("//") == len(found), text
        return found


def all_of(tree, word):
    """All elements of all lists of that name, however deep."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == word:
                yield from value
            yield from all_of(value, word)
    elif isinstance(tree, list):
        for value in tree:
            yield from all_of(value, word)


def all_values(tree, word):
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == word:
                yield value
            yield from all_values(value, word)
    elif isinstance(tree, list):
        for value in tree:
            yield from all_values(value, word)


def test_every_uuid_is_its_own_and_of_version_4():
    seen = []
    for name in TEMPLATES:
        export = Template(name).export
        seen += all_values([export["templates"], export["graphs"]], "uuid")
    assert len(seen) == len(set(seen)) > 100
    for text in seen:
        assert re.fullmatch("[0-9a-f]{32}", text) and uuid.UUID(text).version == 4, text


def test_what_triggers_and_graphs_refer_to_is_there(template):
    assert len(template.keys) == len(set(template.keys)) > 40
    assert len(template.triggers) >= 18
    for trigger in template.triggers:
        for word in ("expression", "recovery_expression", "event_name"):
            keys = template.referenced(trigger.get(word, ""))
            assert keys or word != "expression", trigger["name"]
            assert set(keys) <= set(template.keys), trigger["name"]
    graphed = [value["key"] for graph in template.graphs
               for value in all_values(graph["graph_items"], "item")]
    assert graphed and set(graphed) <= set(template.keys)
    masters = set(all_values(template.tree, "key")) & {
        master["key"] for master in all_values(template.tree, "master_item")}
    assert masters <= set(template.keys)
    maps = {entry["name"] for entry in template.tree["valuemaps"]}
    assert {entry["name"] for entry in all_values(template.items, "valuemap")} == maps


def test_triggers_depend_on_triggers_that_exist(template):
    known = {(t["name"], t["expression"], t.get("recovery_expression"))
             for t in template.triggers}
    dependencies = list(all_of(template.export, "dependencies"))
    assert len(dependencies) > 8
    for entry in dependencies:
        assert (entry["name"], entry["expression"], entry.get("recovery_expression")) in known


def test_the_dashboard_shows_what_there_is(template):
    graphs = {graph["name"] for graph in template.graphs}
    widgets = list(all_of(template.tree["dashboards"], "widgets"))
    assert len(widgets) > 5
    for field in all_of(widgets, "fields"):
        if isinstance(field["value"], dict):
            assert field["value"]["host"] == template.name
            assert field["value"].get("name") in graphs or \
                field["value"].get("key") in template.keys


def test_every_macro_is_defined_and_used(template):
    defined = {macro["macro"] for macro in template.tree["macros"]}
    text = json.dumps([template.tree["items"], template.rules, template.export["graphs"]])
    used = {"{$" + name + "}" for name in re.findall(r'\{\$([A-Z0-9_.]+)(?::[^}]*)?\}', text)}
    assert used == defined


def test_both_templates_ask_for_the_same():
    by_http, by_agent = (Template(name) for name in TEMPLATES)
    assert by_http.keys == by_agent.keys
    for one, other in zip(by_http.items, by_agent.items):
        assert one.get("preprocessing") == other.get("preprocessing"), one["key"]
    assert [(t["name"], t["expression"].replace("HTTP", "")) for t in by_http.triggers] == [
        (t["name"], t["expression"].replace("Zabbix agent", "")) for t in by_agent.triggers]


def json_path(document, path):
    """A value by the few forms of JSONPath that the templates use; KeyError where there is none."""
    filtered = re.fullmatch(r"\$\.volumes\[\?\(@\.path=='(.*)'\)\]\.(\w+)\.first\(\)", path)
    if filtered:
        return next((volume[filtered[2]] for volume in document["volumes"]
                     if volume["path"] == filtered[1]))
    place = document
    for dotted, quoted in re.findall(r"\.(\w+)|\['([^']*)'\]", path.removeprefix("$")):
        place = place[dotted or quoted]
    return place


def test_every_item_finds_its_value(template, recording):
    keepframe = recording.keepframe
    keepframe.wait_for("the camera's clock is known", lambda: "clock_skew_seconds" in keepframe.get(
        "/zabbix/items").json["streams"]["live/main"])
    answer = keepframe.get("/zabbix/items").json
    macros = {"{#CAMERA}": "live", "{#STREAM}": "main", "{#VOLUME}": str(keepframe.video)}
    documents = {"keepframe.items": answer}
    for item in template.items:
        steps = item.get("preprocessing", [])
        if not steps:
            assert item["key"] in documents
            continue
        assert steps[0]["type"] == "JSONPATH"
        path = steps[0]["parameters"][0]
        if path in NOT_YET:
            continue
        for macro, text in macros.items():
            path = path.replace(macro, text)
        value = json_path(documents[item["master_item"]["key"]], path)
        documents[item["key"]] = value
        expected = {"CHAR": str, "TEXT": (str, dict), "FLOAT": (int, float)}
        assert isinstance(value, expected.get(item.get("value_type"), int)), item["key"]
        assert not isinstance(value, bool)


# --- The agent

@pytest.fixture(scope="module")
def agent(recording, tmp_path_factory):
    """Asks the agent for a key, as `zabbix_agentd -t` answers it."""
    keepframe = recording.keepframe
    folder = tmp_path_factory.mktemp("agent")
    address = (keepframe.runtime / "webui.address").read_text().strip()
    text = (CONF / "userparameter_keepframe.conf").read_text()
    assert text.count("127.0.0.1:8080") == text.count("\nUserParameter=")
    (folder / "keepframe.conf").write_text(text.replace("127.0.0.1:8080", address))
    (folder / "agent.conf").write_text(
        f"Server=127.0.0.1\nLogType=console\nInclude={folder}/keepframe.conf\n")

    def ask(key):
        done = subprocess.run(["/usr/sbin/zabbix_agentd", "-c", str(folder / "agent.conf"),
                               "-t", key], capture_output=True, text=True, timeout=60)
        match = re.search(r"\[t\|(.*)\]\s*$", done.stdout, re.S)
        assert match, done.stdout + done.stderr
        return match[1]
    return ask


def test_the_agent_s_parameters_answer(agent, recording):
    keepframe = recording.keepframe
    assert json.loads(agent("keepframe.discovery")) == keepframe.get("/zabbix/discovery").json
    items = json.loads(agent("keepframe.items"))
    assert items["streams"]["avc/main"] == keepframe.get(
        "/zabbix/items").json["streams"]["avc/main"]
    assert agent("keepframe.camera[avc,frame]") == str(items["streams"]["avc/main"]["frames"])
    assert json.loads(agent("keepframe.health")) == {"status": "ok"}
