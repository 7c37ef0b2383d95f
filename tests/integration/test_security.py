# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may talk to larch-server: TLS, certificates of clients, users with roles and tenants, slow peers."""
import socket
import ssl
import subprocess
import time

from harness import SERVER_CONFIG, http_request, short
from tls import Authority


def ask(server, path="/ready", authority=None, client=None, headers=(), body=None):
    """A request over TLS by curl: (status, text); status 0: no answer."""
    argv = ["curl", "-s", "-w", "\n%{http_code}", f"https://127.0.0.1:{server.port}{path}"]
    argv += ["--cacert", authority.file] if authority else ["-k"]
    argv += ["--cert", client[0], "--key", client[1]] if client else []
    for header in headers:
        argv += ["-H", header]
    if body is not None:
        argv += ["--data-binary", body]
    text, _, status = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.rpartition("\n")
    return int(status), text


def tls_server(env, keys):
    block = "\n".join(f"    {key}: {value}" for key, value in keys.items())
    config = SERVER_CONFIG.replace("server:\n", f"server:\n  http_tls_config:\n{block}\n", 1)
    return env.server(config=config, start=False).start()


@short
def test_tls(env):
    authority = Authority(env)
    file, key = authority.sign("server")
    server = tls_server(env, {"cert_file": file, "key_file": key})
    env.wait_for(lambda: ask(server, authority=authority) == (200, "ready\n"))
    now = time.time_ns()
    body = '{"streams": [{"stream": {"app": "x"}, "values": [["%d", "over TLS"]]}]}' % now
    status, text = ask(server, "/loki/api/v1/push", authority, headers=["Content-Type: application/json"], body=body)
    assert status == 204, text
    status, text = ask(server, "/loki/api/v1/query_range?query=%7Bapp%3D%22x%22%7D", authority)
    assert status == 200 and "over TLS" in text
    assert ask(server, authority=Authority(env, "other"))[0] == 0
    plain = socket.create_connection(("127.0.0.1", server.port))
    plain.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" not in plain.recv(4096)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        old.wrap_socket(socket.create_connection(("127.0.0.1", server.port)))
        raise AssertionError("TLS 1.1 was spoken")
    except (ssl.SSLError, OSError):
        pass
    server.stop()


@short
def test_a_renewed_certificate_is_used(env):
    authority = Authority(env)
    file, key = authority.sign("server")
    server = tls_server(env, {"cert_file": file, "key_file": key})
    env.wait_for(lambda: ask(server, authority=authority)[0] == 200)
    shown = ssl.get_server_certificate(("127.0.0.1", server.port))
    authority.sign("server")
    env.wait_for(lambda: ssl.get_server_certificate(("127.0.0.1", server.port)) != shown)
    with open(key, "w", encoding="utf-8") as f:
        f.write("no key")
    env.wait_for(lambda: ask(server, authority=authority)[0] == 200 and "stays as it was" in server.log())


@short
def test_certificates_of_clients(env):
    authority = Authority(env)
    file, key = authority.sign("server")
    client, stranger = authority.sign("client"), Authority(env, "other").sign("stranger")
    server = tls_server(env, {"cert_file": file, "key_file": key, "client_ca_file": authority.file,
                              "client_auth_type": "RequireAndVerifyClientCert"})
    env.wait_for(lambda: ask(server, client=client) == (200, "ready\n"))
    assert ask(server)[0] == 403 and ask(server, client=stranger)[0] == 403
    status, text = ask(server, "/loki/api/v1/push", headers=["Content-Type: application/json"], body="{}")
    assert status == 403 and "client_auth_type" in text, text


def secret(env, *args):
    """`larchctl secret`: the secret, and the entry for the file of users."""
    done = env.run("larchctl", "secret", *args)
    assert done.returncode == 0, done
    return done.stdout.splitlines()[1], done.stdout.split("`users:`.\n")[1]


def users(env):
    """A server with four users; their secrets by name."""
    secrets, text = {}, "users:\n"
    for name, *rest in (("agents", "--tenant", "a", "agents", "push"), ("reader", "--tenant", "a", "reader", "read"),
                        ("boss", "--tenant", "a", "boss", "admin"), ("root", "root", "admin")):
        secrets[name], entry = secret(env, *rest)
        text += entry
    file = env.write("users.yaml", text)
    config = SERVER_CONFIG.replace("auth_enabled: false", "auth_enabled: true")
    runtime = "larch: {auth_file: %s}\nruntime_config: {period: 50ms}\n" % file
    return env.server(config=config + runtime), secrets, file


BODY = b'{"streams": [{"stream": {"app": "x"}, "values": [["%d", "%s"]]}]}'


@short
def test_users(env):
    server, secrets, file = users(env)

    def status(method, path, who=None, tenant=None, body=None):
        headers = {"Content-Type": "application/json"}
        if who:
            headers["Authorization"] = "Bearer " + secrets[who]
        if tenant:
            headers["X-Scope-OrgID"] = tenant
        return http_request(method, server.url + path, body, headers).status

    body = BODY % (time.time_ns(), b"of a")
    push, labels = "/loki/api/v1/push", "/loki/api/v1/labels"
    assert status("GET", "/ready") == 200 and status("GET", "/metrics") == 401
    assert status("POST", push, body=body) == 401 and status("GET", labels) == 401
    assert status("POST", push, "agents", body=body) == 204  # its only tenant
    assert status("POST", push, "agents", "b", body=body) == 403
    assert status("GET", labels, "agents") == 403 and status("GET", labels, "reader", "a") == 200
    assert status("POST", push, "reader", body=body) == 403 and status("GET", "/metrics", "reader") == 200
    assert status("POST", "/flush", "reader") == 403 and status("POST", "/flush", "root") == 204
    delete = "/loki/api/v1/delete"
    assert status("POST", "/flush", "boss") == 403 and status("POST", "/ingester/shutdown", "boss", "a") == 403
    assert status("GET", delete, "boss") == 200 and status("GET", delete, "boss", "b") == 403
    assert status("GET", labels, "root", "b") == 200 and status("GET", labels, "root") == 401
    assert "WWW-Authenticate" in http_request("GET", server.url + labels).headers
    run = env.run("larchctl", "query", "-s", server.url, "--user", "reader", "--secret", "@" +
                  env.write("secret", secrets["reader"] + "\n"), '{app="x"}')
    assert run.returncode == 0 and "of a" in run.stdout, run
    with open(file, encoding="utf-8") as f:
        text = f.read()
    env.write("users.yaml", text.replace("reader", "nobody").replace("[read]", "[push]"))
    env.wait_for(lambda: status("GET", labels, "reader", "a") == 403)


@short
def test_entries_that_the_server_reads(env):
    done = env.run("larchctl", "secret", "x", "reader")
    assert done.returncode != 0 and "push, read and admin" in done.stderr, done
    shown, entry = secret(env, "odd: name #1", "read")
    file = env.write("users.yaml", "users:\n" + entry)
    server = env.server(config=SERVER_CONFIG + "larch: {auth_file: %s}\n" % file)
    bearer = {"Authorization": "Bearer " + shown}
    assert http_request("GET", server.url + "/loki/api/v1/labels", None, bearer).status == 200


@short
def test_no_route_shows_another_tenant(env):
    """Every route that the server has, asked by a user of one tenant for another, and by one with the wrong role."""
    server, secrets, _ = users(env)
    other = {"Authorization": "Bearer " + secrets["root"], "X-Scope-OrgID": "b", "Content-Type": "application/json"}
    assert http_request("POST", server.url + "/loki/api/v1/push", BODY % (time.time_ns(), b"needle of b"), other).status == 204
    routes = [line.split() for line in env.run("larch-server", "-list-routes").stdout.splitlines()]
    assert len(routes) > 40, routes
    query = "?query=%7Bapp%3D%22x%22%7D&match%5B%5D=%7Bapp%3D%22x%22%7D&targetBytesPerShard=1KB"
    for method, _, path in routes:
        path = path.replace("{name}", "app").replace("{id}", "1")

        def ask_as(tenant, name=None):
            headers = {"X-Scope-OrgID": tenant}
            if name:
                headers["Authorization"] = "Bearer " + secrets[name]
            return http_request(method, server.url + path + query, None if method == "GET" else b"", headers)

        assert path == "/ready" or ask_as("b").status == 401, (method, path)
        for name in ("agents", "reader", "boss"):
            assert path == "/ready" or ask_as("b", name).status == 403, (method, path, name)
            answer = ask_as("a", name)
            assert "needle" not in answer.text and '"x"' not in answer.text, (method, path, name, answer)


@short
def test_wrong_certificates(env):
    file, key = Authority(env).sign("server")
    _, other = Authority(env).sign("other")
    for keys, text in (({"cert_file": file}, "go together"), ({"cert_file": file, "key_file": other}, "is not that of"),
                       ({"cert_file": file, "key_file": "/nonexistent"}, "/nonexistent"),
                       ({"cert_file": key, "key_file": key}, "certificate"),
                       ({"cert_file": file, "key_file": key, "client_auth_type": "RequireAndVerifyClientCert"},
                        "client_ca_file")):
        server = tls_server(env, keys)
        assert server.wait() == 1
        assert text in server.log(), (keys, server.log())
