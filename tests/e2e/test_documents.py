"""What the documents say of the tests."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_a_decision_names_exists():
    named = {match for path in (ROOT / "docs" / "decisions").glob("*.md")
             for match in re.findall(r"`(test_\w+\.(?:c|py))::(\w+)`", path.read_text())}
    assert len(named) > 50
    for file, name in sorted(named):
        path = ROOT / "tests" / ("unit" if file.endswith(".c") else "e2e") / file
        assert path.exists(), f"there is no {file}"
        begin = "static void" if file.endswith(".c") else "def"
        assert re.search(rf"^{begin} {name}\(", path.read_text(), re.M), f"{file} has no {name}"
