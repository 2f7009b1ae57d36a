"""An indexer that was away for an hour: the newest footage comes first, the oldest is not forgotten,
and what is recorded meanwhile overtakes all of it."""

import contextlib
import re
import signal
import subprocess

from archive import put_run, wait_filed

BEGIN = 1_774_958_400_000  # epoch milliseconds
MINUTES = 60


def committed(keepframe):
    """Identities of one camera's segments in the order in which they came into the catalog."""
    return re.findall(r"(yard/main/\d+-\d{6}): committed as", keepframe.log_text())


def in_turns(runs, live, at):
    """The newest run's next segment, the oldest run's, and so on; the run `live` comes when `at` of
    them have gone their way."""
    waiting = {run: [f"yard/main/{run}-{number:06}" for number in range(2)] for run in [*runs, live]}
    order = []
    while waiting:
        there = [run for run in waiting if run != live or len(order) >= at]
        run = min(there) if len(order) % 2 else max(there)
        order.append(waiting[run].pop(0))
        if not waiting[run]:
            del waiting[run]
    return order


@contextlib.contextmanager
def indexer_alone(keepframe):
    """The indexer without its supervisor, and with every step in the log."""
    with open(keepframe.log, "ab") as log:
        indexer = subprocess.Popen(
            [keepframe.lab.build.program("keepframe-indexer"), "run", "--debug", "-c",
             str(keepframe.config), "--data", str(keepframe.data)], stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, cwd=keepframe.folder, env=keepframe.lab.env())
    try:
        yield indexer
    finally:
        indexer.terminate()
        assert indexer.wait(30) == 0


def test_an_hour_is_caught_up_with_newest_first_while_new_footage_comes(lab):
    keepframe = lab.keepframe().configure({})
    runs = [BEGIN + index * 60_000 for index in range(MINUTES)]
    live = BEGIN + MINUTES * 60_000
    for run in runs:
        put_run(keepframe, "yard", "h264", run)
    with indexer_alone(keepframe) as indexer:
        keepframe.wait_for("it is at work", lambda: keepframe.volume_files("yard"))
        indexer.send_signal(signal.SIGSTOP)
        try:
            known = len(keepframe.volume_files("yard"))
            put_run(keepframe, "yard", "h264", live)
        finally:
            indexer.send_signal(signal.SIGCONT)
        wait_filed(keepframe, "yard")
    order = committed(keepframe)
    assert known < MINUTES, "it was too fast to be overtaken"
    # One file may have been in hand.
    assert order in [in_turns(runs, live, at) for at in range(known, known + 3)]
    rows = keepframe.catalog("SELECT run, number FROM footage ORDER BY run, number")
    assert rows == [(run, number) for run in [*runs, live] for number in range(2)]
