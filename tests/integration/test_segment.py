# SPDX-License-Identifier: GPL-2.0-or-later
"""larchctl segment over the golden files: 3 streams of 120 rows, as every version of the store wrote them."""
import json
import os
import subprocess

from harness import short

GOLDEN = os.path.join(os.path.dirname(__file__), "..", "unit", "server", "golden")
FILES = [os.path.join(GOLDEN, "segment-1"), os.path.join(GOLDEN, "segment-2")]


def ctl(env, *args):
    p = subprocess.run([*env.command("larchctl", "segment", *args)], capture_output=True, text=True, timeout=60)
    return p.returncode, p.stdout, p.stderr


@short
def test_inspect_tells_what_is_there(env):
    for file in FILES:
        rc, out, err = ctl(env, "inspect", file)
        assert rc == 0, err
        assert "tenant      t" in out and "entries     360, of 3 streams" in out, out
        assert "covers      writer 000000000000004d, records 1 to 8" in out, out
        assert "metadata trace_id" in out, out


@short
def test_verify_finds_damage(env):
    rc, out, err = ctl(env, "verify", *FILES)
    assert rc == 0 and out.count(": whole\n") == 2, (out, err)
    good = open(FILES[1], "rb").read()
    bad = os.path.join(env.dir, "bad")
    for at in (20, len(good) // 2, len(good) - 100, len(good) - 3):
        with open(bad, "wb") as f:
            f.write(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        rc, out, err = ctl(env, "verify", bad, FILES[1])
        assert rc == 1 and bad in out and f"{FILES[1]}: whole" in out, (at, out, err)
    with open(bad, "wb") as f:
        f.write(b"no segment")
    rc, out, err = ctl(env, "verify", bad)
    assert rc == 1 and "is no segment" in err, err
    rc, out, err = ctl(env, "verify", os.path.join(env.dir, "absent"))
    assert rc == 1 and "absent" in err, err
    assert ctl(env, "repair", bad)[0] == 2


@short
def test_dump_prints_entries(env):
    for file in FILES:
        rc, out, err = ctl(env, "dump", "-o", "jsonl", file)
        assert rc == 0, err
        rows = [json.loads(line) for line in out.splitlines()]
        assert len(rows) == 360
        apps = {json.dumps(r["labels"], sort_keys=True) for r in rows}
        assert len(apps) == 3
        assert any(r["metadata"].get("trace_id") == "%032x" % 7 for r in rows)
        rc, out, err = ctl(env, "dump", "-o", "raw", "--match", '{app="a1"}', file)
        assert rc == 0 and len(out.splitlines()) == 120, err
        rc, out, err = ctl(env, "dump", "-o", "raw", "--from", rows[60]["timestamp"], "--to", rows[70]["timestamp"],
                           "--match", '{host="h0000"}', file)
        assert rc == 0 and len(out.splitlines()) == 10, (out, err)
        assert ctl(env, "dump", "--match", "{app=", file)[0] == 2
