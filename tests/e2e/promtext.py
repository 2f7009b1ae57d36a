"""Prometheus' text format, read by its own rules."""

import re
from dataclasses import dataclass

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\.|[^"\\])*)"(?:,|\})')
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


@dataclass(frozen=True)
class Sample:
    name: str
    labels: tuple  # of (name, value), in order
    value: float

    def label(self, name):
        return dict(self.labels).get(name)


class Metrics:
    """One answer of /metrics."""

    def __init__(self, text):
        self.text = text
        self.samples = [_sample(line) for line in text.splitlines() if not line.startswith("#")]

    def all(self, name, **labels):
        return [sample for sample in self.samples if sample.name == "keepframe_" + name
                and all(sample.label(key) == value for key, value in labels.items())]

    def get(self, name, **labels):
        """The value of the one sample, or None."""
        found = self.all(name, **labels)
        assert len(found) <= 1, f"{name} {labels} stands there {len(found)} times"
        return found[0].value if found else None

    def names(self):
        return {sample.name for sample in self.samples}


def _sample(line):
    match = SAMPLE.fullmatch(line)
    assert match, f"not a sample: {line}"
    name, labels, value = match.groups()
    pairs = LABEL.findall(labels[1:]) if labels else []
    return Sample(name, tuple((key, re.sub(r"\\.", lambda e: ESCAPES[e.group()], text))
                              for key, text in pairs), float(value))
