# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed works where it is installed: units, examples, the Kubernetes manifest."""
import os
import re
import subprocess

from harness import short

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def install(env):
    prefix = env.path("usr")
    for part in ("bin", "lib/systemd/system", "share/larch"):
        os.makedirs(os.path.join(prefix, part))
    build = os.path.relpath(env.build, TOP)  # as make test names it: under another name all would be built anew
    before = os.stat(env.program("larch-server"))
    subprocess.run(["make", "-s", "-C", TOP, "install", f"O={build}", f"PREFIX={prefix}"], check=True, capture_output=True, text=True)
    assert os.stat(env.program("larch-server")).st_mtime_ns == before.st_mtime_ns, "installing built the programs again"
    return prefix


def test_installed_units_and_examples(env):
    prefix = install(env)
    for program in ("larch-server", "larch-agent", "larchctl"):
        got = subprocess.run([os.path.join(prefix, "bin", program), "--version"], capture_output=True, text=True)
        assert got.returncode == 0 and got.stdout.startswith(program), got
    for unit in ("larch-server", "larch-agent"):
        got = subprocess.run(["systemd-analyze", "verify", os.path.join(prefix, "lib/systemd/system", unit + ".service")], capture_output=True, text=True)
        assert got.returncode == 0 and not got.stderr.strip(), got
        rating = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", os.path.join(prefix, "lib/systemd/system", unit + ".service")], capture_output=True, text=True)
        assert rating.returncode == 0, rating.stdout[-500:]
    got = subprocess.run([os.path.join(prefix, "bin/larch-server"), f"-config.file={prefix}/share/larch/server.yaml", "-verify-config"], capture_output=True, text=True)
    assert got.returncode == 0, got
    got = subprocess.run([os.path.join(prefix, "bin/larch-agent"), f"-config.file={prefix}/share/larch/agent.yaml", "-check-syntax"], capture_output=True, text=True)
    assert got.returncode == 0, got


@short
def test_kubernetes_manifest_holds_a_valid_configuration(env):
    with open(os.path.join(TOP, "packaging", "kubernetes-agent.yaml"), encoding="utf-8") as f:
        manifest = f.read()
    block = re.search(r"  agent\.yaml: \|\n((?:    .*\n)+)", manifest)[1]
    file = env.write("agent.yaml", re.sub(r"^    ", "", block, flags=re.M))
    os.environ.update(LARCH_URL="http://127.0.0.1:1/loki/api/v1/push", NODE_NAME="n1")
    got = env.run("larch-agent", f"-config.file={file}", "-config.expand-env=true", "-check-syntax")
    assert got.returncode == 0, got
    for kind in ("Namespace", "ConfigMap", "DaemonSet"):
        assert f"kind: {kind}" in manifest
