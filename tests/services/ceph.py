# SPDX-License-Identifier: GPL-2.0-or-later
"""Ceph's S3 gateway, from Debian's packages, for one test: a monitor, an object store in memory, the gateway.

    ceph = Ceph(env)
    ceph.make_bucket("logs")
    ... ceph.endpoint, ceph.KEY, ceph.SECRET; ceph.gateway is a Process, to be killed and restarted
"""
import hashlib
import hmac
import os
import subprocess
import sys
import time
import urllib.parse
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from harness import DEADLINE, Process, http_request  # noqa: E402

CONFIG = """\
[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]
public addr = 127.0.0.1
ms bind port min = {low}
ms bind port max = {high}
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc secure
keyring = {dir}/keyring
run dir = {dir}/run
admin socket = {dir}/run/$name.asok
log file = {dir}/log/$name.log
mon cluster log file = {dir}/log/cluster.log
osd pool default size = 1
osd pool default pg num = 4
mon allow pool size one = true
paxos propose interval = 0.05
paxos min wait = 0.01
mon data = {dir}/mon
mon data avail crit = 0
osd data = {dir}/osd
osd objectstore = memstore
memstore device bytes = {bytes}
rgw data = {dir}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw dns name = localhost
[mon.a]
host = localhost
public addrv = [v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]
"""


class Gateway(Process):
    def __init__(self, env, argv, port):
        super().__init__(env, "radosgw", argv)
        self.url = f"http://127.0.0.1:{port}"

    def wait_ready(self):
        self.env.wait_for(lambda: http_request("GET", self.url + "/").status == 200, "radosgw answers")


class Ceph:
    KEY, SECRET = "TESTKEY", "TESTSECRET"

    def __init__(self, env, size=1 << 30):
        self.env = env
        self.port = env.free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        folder = env.path("ceph")
        for name in ("mon", "osd", "rgw", "log", "run"):
            os.makedirs(os.path.join(folder, name))
        open(os.path.join(folder, "keyring"), "w").close()
        low = env.free_port()
        config = env.write("ceph/ceph.conf", CONFIG.format(
            fsid=uuid.uuid4(), mon1=env.free_port(), mon2=env.free_port(), low=low, high=low + 99, dir=folder,
            bytes=size, port=self.port))
        self.c = ["-c", config]
        self.call("ceph-mon", "--mkfs", "-i", "a")
        self.mon = env.start("ceph-mon", ["ceph-mon", *self.c, "-i", "a", "-f"])
        env.wait_for(lambda: self.try_call("ceph", "quorum_status"), "the monitor")
        osd = str(uuid.uuid4())
        self.call("ceph", "osd", "new", osd)
        self.call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.osd = env.start("ceph-osd", ["ceph-osd", *self.c, "-i", "0", "-f"])
        env.wait_for(lambda: b"1 up" in self.try_call("ceph", "osd", "stat"), "the object store")
        self.call("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=t", "--display-name=t",
                  f"--access-key={self.KEY}", f"--secret-key={self.SECRET}")
        self.gateway = env.add(Gateway(env, ["radosgw", *self.c, "-n", "client.rgw", "-f"], self.port))

    def try_call(self, program, *args):
        """Output, or b"" when it failed or took too long."""
        try:
            done = subprocess.run([program, *self.c, *args], capture_output=True, timeout=5)
        except subprocess.TimeoutExpired:
            return b""
        return done.stdout + b" " if done.returncode == 0 else b""

    def call(self, program, *args):
        done = subprocess.run([program, *self.c, *args], capture_output=True, timeout=DEADLINE)
        assert done.returncode == 0, (program, args, done.stderr.decode())

    # ---- S3, signed by hand, so that the tests see the bucket with other eyes than the server's ----

    def request(self, method, path, query=None, body=b""):
        """path as in the URL, from the bucket on."""
        now = time.gmtime()
        day, stamp = time.strftime("%Y%m%d", now), time.strftime("%Y%m%dT%H%M%SZ", now)
        scope = f"{day}/us-east-1/s3/aws4_request"
        text = urllib.parse.urlencode(sorted((query or {}).items()), quote_via=urllib.parse.quote, safe="")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": f"127.0.0.1:{self.port}", "x-amz-content-sha256": digest, "x-amz-date": stamp}
        names = ";".join(sorted(headers))
        canonical = "\n".join([method, path, text, *(f"{k}:{headers[k]}" for k in sorted(headers)), "", names, digest])
        to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.SECRET).encode()
        for part in (day, "us-east-1", "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={self.KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
        return http_request(method, self.endpoint + path + ("?" + text if text else ""), body, headers)

    def make_bucket(self, name):
        answer = self.request("PUT", "/" + name)
        assert answer.status == 200, answer

    def keys(self, bucket, prefix=""):
        """Names and sizes of objects; for buckets of less than a thousand."""
        import xml.etree.ElementTree as tree
        answer = self.request("GET", "/" + bucket, {"list-type": "2", "prefix": prefix})
        assert answer.status == 200, answer
        root = tree.fromstring(answer.text)
        space = {"s": root.tag[1:].split("}")[0]}
        return {c.find("s:Key", space).text: int(c.find("s:Size", space).text) for c in root.findall("s:Contents", space)}
