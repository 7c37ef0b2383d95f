# SPDX-License-Identifier: GPL-2.0-or-later
"""A log shipper of somebody else's, from Debian's packages (make shippers): syslog-ng with its http() destination."""
import glob
import os
import socket

from harness import Process

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "shippers")
CONFIG = r"""@version: 3.35
options { keep-timestamp(no); stats-freq(0); frac-digits(6); time-reopen(1); log-fifo-size(100000); };
source s_file { file("{dir}/in.log" flags(no-parse) follow-freq(0.05)); };
source s_tcp { network(ip(127.0.0.1) port({tcp}) transport("tcp") flags(no-parse)); };
destination d_loki {
  http(url("{url}/api/prom/push") method("POST") headers("Content-Type: application/json")
    body-prefix('{"streams":[') delimiter(",") body-suffix(']}')
    body('{"labels":"{job=\"syslog-ng\", source=\"$SOURCE\"}","entries":[$(format-json --scope none ts=$R_ISODATE line=$MESSAGE)]}')
    batch-lines(100) batch-timeout(50) retries(100000));
};
log { source(s_file); source(s_tcp); destination(d_loki); };
"""


def syslog_ng(env, url):
    """Started, with a file and a TCP port to read from; the port."""
    program = os.path.join(ROOT, "usr/sbin/syslog-ng")
    assert os.path.exists(program), "there is no syslog-ng below build/shippers: make shippers"
    libraries = {os.path.dirname(f) for f in glob.glob(os.path.join(ROOT, "usr/lib/**/lib*.so*"), recursive=True)}
    tcp = env.free_port()
    config = CONFIG.replace("{dir}", env.dir).replace("{tcp}", str(tcp)).replace("{url}", url)
    modules = os.path.dirname(glob.glob(os.path.join(ROOT, "usr/lib/syslog-ng/*/libhttp.so"))[0])
    argv = [program, "-F", "-e", "--no-caps", "-f", env.write("syslog-ng.conf", config), "-R", env.path("syslog-ng.persist"),
            "-c", env.path("syslog-ng.ctl"), "--pidfile", env.path("syslog-ng.pid"), "--module-path=" + modules]
    shipper = env.add(Process(env, "syslog-ng", argv, {"LD_LIBRARY_PATH": ":".join(sorted(libraries))}))
    env.wait_for(lambda: "starting up" in shipper.log(), "syslog-ng runs")
    return tcp


def test_syslog_ng_ships_a_file_and_a_socket(env):
    server = env.server()
    odd = ['plain', 'with "quotes" and \\ back\\slash', "\ttab and caf\u00e9 <&>", '{"level":"error","n":1}', "x" * 5000]
    lines = odd + [f"line {i} of the file" for i in range(2000)]
    env.write("in.log", "".join(line + "\n" for line in lines))
    tcp = syslog_ng(env, server.url)
    env.wait_for(lambda: len(server.lines('{job="syslog-ng", source="s_file"}')) == len(lines), "the file is shipped")
    assert sorted(server.lines('{job="syslog-ng", source="s_file"}')) == sorted(lines)
    assert server.lines('{job="syslog-ng"} | json | detected_level="error"') == ['{"level":"error","n":1}']
    with socket.create_connection(("127.0.0.1", tcp)) as s:
        s.sendall(b"".join(b"message %d\n" % i for i in range(500)))
    env.wait_for(lambda: len(server.lines('{source="s_tcp"}')) == 500, "the socket's messages are shipped")
    assert sorted(server.lines('{source="s_tcp"}')) == sorted(f"message {i}" for i in range(500))


def test_syslog_ng_outlives_a_crash_of_the_server(env):
    """It keeps what is not acknowledged and sends it again; what was acknowledged is there once."""
    server = env.server()
    tcp = syslog_ng(env, server.url)
    sent = 0
    with socket.create_connection(("127.0.0.1", tcp)) as s:
        for crash in range(3):
            s.sendall(b"".join(b"message %d\n" % i for i in range(sent, sent + 300)))
            sent += 300
            env.wait_for(lambda: server.metric("loki_distributor_lines_received_total") > 50, "some of it is taken")
            server.kill()
            s.sendall(b"".join(b"message %d\n" % i for i in range(sent, sent + 100)))
            sent += 100
            server.restart()
    env.wait_for(lambda: len(server.lines('{source="s_tcp"}')) >= sent, "everything is there")
    assert sorted(server.lines('{source="s_tcp"}')) == sorted(f"message {i}" for i in range(sent))
